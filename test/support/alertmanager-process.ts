// Real Alertmanagers on loopback.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { NeverReady, waitFor } from '../../deploy/lab/ready.ts';

export const alertmanagerProgram = 'prometheus-alertmanager';

export interface AlertmanagerProcess extends AsyncDisposable {
  readonly url: string;
  readonly post: (alerts: readonly object[]) => Promise<void>;
  readonly alerts: () => Promise<readonly ListedAlert[]>;
  /** Returns the id. */
  readonly silence: (matchers: Readonly<Record<string, string>>) => Promise<string>;
  readonly stop: () => Promise<void>;
}

export interface ListedAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly status: { readonly state: string };
}

/** One without peers. @param config the document of alertmanager.yml, or its text; `files` lie beside it */
export async function startAlertmanager(
  port: number,
  config: object | string,
  files: Readonly<Record<string, string>> = {},
): Promise<AlertmanagerProcess> {
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-am-'));
  const file = join(dir, 'alertmanager.yml');
  await writeFile(file, typeof config === 'string' ? config : dump(config));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    alertmanagerProgram,
    [
      `--config.file=${file}`,
      `--storage.path=${dir}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  };
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/api/v2/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`${response.status}: ${answer}`);
    return answer === '' ? undefined : JSON.parse(answer);
  };
  try {
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new NeverReady(text);
        return (await fetch(`${url}/-/ready`)).ok;
      },
      { what: `Alertmanager on ${url}` },
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url,
    stop,
    post: async (alerts) => {
      await post('alerts', alerts);
    },
    alerts: async () => (await (await fetch(`${url}/api/v2/alerts`)).json()) as ListedAlert[],
    silence: async (matchers) => {
      const made = await post('silences', {
        matchers: Object.entries(matchers).map(([name, value]) => ({ name, value, isRegex: false, isEqual: true })),
        startsAt: new Date().toISOString(),
        endsAt: new Date(Date.now() + 3_600_000).toISOString(),
        createdBy: 'test',
        comment: 'test',
      });
      return (made as { silenceID: string }).silenceID;
    },
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Sends what has a target to the remediator, quickly; a critical alert inhibits the warnings of its target. */
export function routeTo(url: string, tokenFile: string): object {
  return {
    route: {
      receiver: 'nobody',
      routes: [
        {
          receiver: 'remediator',
          matchers: ['target=~".+"'],
          group_by: ['...'],
          group_wait: '100ms',
          group_interval: '1s',
          repeat_interval: '1h',
        },
      ],
    },
    receivers: [
      { name: 'nobody' },
      {
        name: 'remediator',
        webhook_configs: [
          {
            url,
            send_resolved: true,
            max_alerts: 0,
            http_config: { follow_redirects: false, authorization: { credentials_file: tokenFile } },
          },
        ],
      },
    ],
    inhibit_rules: [
      { source_matchers: ['alertname="Upstream"'], target_matchers: ['alertname!="Upstream"'], equal: ['target'] },
    ],
  };
}
