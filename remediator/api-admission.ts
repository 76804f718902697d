// Who may call the API of this program, by its settings and by where it listens.
import type { ListenAddress } from '../exporter/runtime/http.ts';
import { admitCallers, type AdmitCaller } from './admission.ts';
import type { Settings } from './settings.ts';

/** The webhook's tokens lie on other machines; they open the API only to those who are on this one. */
export function apiAdmission(
  settings: Pick<Settings, 'apiTokenFiles' | 'apiTokens' | 'webhookTokenFiles'>,
  addresses: readonly ListenAddress[],
): AdmitCaller | undefined {
  if (settings.apiTokenFiles !== undefined) return admitCallers(settings.apiTokens, settings.apiTokenFiles);
  const { webhookTokenFiles: files } = settings;
  return files.length > 0 && addresses.every(isLocal) ? admitCallers([], files) : undefined;
}

function isLocal(address: ListenAddress): boolean {
  if ('path' in address) return true;
  const { host } = address;
  return host !== undefined && (/^127(\.\d{1,3}){3}$/.test(host) || host === '::1' || host === 'localhost');
}
