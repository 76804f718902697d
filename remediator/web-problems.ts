import type { WebDocument } from '../exporter/runtime/web-config-schema.ts';
import type { Settings } from './settings.ts';

/** What `remediation.webhook` wants of the web configuration and does not find there. @param web undefined: no such file */
export function webProblems(settings: Settings, web: WebDocument | undefined): readonly string[] {
  const users = settings.webhookUsers
    .filter((user) => !Object.hasOwn(web?.basic_auth_users ?? {}, user))
    .map((user) => {
      const fix =
        web === undefined ? 'Start with --web.config.file' : 'Add it to basic_auth_users there, or take it out';
      return `remediation.webhook.basic_auth_users: ${user} is no user of the web configuration. ${fix}`;
    });
  const type = web?.tls_server_config?.client_auth_type;
  const verifies = type === 'VerifyClientCertIfGiven' || type === 'RequireAndVerifyClientCert';
  if (settings.webhookSans.length === 0 || verifies) return users;
  return [
    ...users,
    'remediation.webhook.client_sans: nobody verifies client certificates. Set client_auth_type: ' +
      'RequireAndVerifyClientCert or VerifyClientCertIfGiven in the file of --web.config.file',
  ];
}
