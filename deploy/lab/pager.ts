// Stands in for the people: receives what Alertmanager sends to them and remembers it.
import { createServer, type IncomingMessage } from 'node:http';
import { ports } from './address.ts';

export interface Page {
  readonly atMs: number;
  /** The last word of the path: critical, warning or info. */
  readonly receiver: string;
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** The part of Alertmanager's webhook (version 4) that is read here. */
interface Notification {
  readonly alerts?: readonly Omit<Page, 'atMs' | 'receiver'>[];
}

export interface Pager {
  readonly pages: readonly Page[];
  close(): void;
}

export async function startPager(address: string): Promise<Pager> {
  const pages: Page[] = [];
  const server = createServer((request, response) => {
    void textOf(request).then((text) => {
      try {
        const receiver = request.url?.split('/').at(-1) ?? '';
        const { alerts = [] } = JSON.parse(text) as Notification;
        for (const { status, labels, annotations } of alerts) {
          pages.push({ atMs: Date.now(), receiver, status, labels, annotations });
        }
        response.writeHead(200).end();
      } catch {
        response.writeHead(400).end();
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port: ports.pager, exclusive: true }, resolve);
  });
  server.unref();
  return {
    pages,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return ''; // the sender has gone
  }
  return Buffer.concat(chunks).toString('utf8');
}
