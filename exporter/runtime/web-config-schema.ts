// The web configuration file of Prometheus' exporter-toolkit (docs/web-configuration.md there): what may stand in it.
import { z } from 'zod';

/** As Go's crypto/tls calls them -> OpenSSL's names. Those of TLS 1.3 are always on, in Go as here. */
const cipherNames = {
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
} as const;

const curveNames = { CurveP256: 'P-256', CurveP384: 'P-384', CurveP521: 'P-521', X25519: 'X25519' } as const;

const versionNames = { TLS10: 'TLSv1', TLS11: 'TLSv1.1', TLS12: 'TLSv1.2', TLS13: 'TLSv1.3' } as const;

/** One of the keys, turned into what Node calls it. */
function named<const T extends Readonly<Record<string, string>>>(names: T) {
  const known = Object.keys(names).join(', ');
  return z.string().transform((text, context): T[keyof T] => {
    const found = Object.hasOwn(names, text) ? names[text as keyof T] : undefined;
    if (found !== undefined) return found;
    context.addIssue({ code: 'custom', message: `${text} is not one of ${known}` });
    return z.NEVER;
  });
}

const clientAuth = z.enum(
  [
    'NoClientCert',
    'RequestClientCert',
    'RequireClientCert', // the old name of the next one
    'RequireAnyClientCert',
    'VerifyClientCertIfGiven',
    'RequireAndVerifyClientCert',
  ],
  'NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert',
);

const path = z.string().min(1);

const tls = z
  .strictObject({
    cert: z.string().min(1).optional(),
    key: z.string().min(1).optional(),
    client_ca: z.string().min(1).optional(),
    cert_file: path.optional(),
    key_file: path.optional(),
    client_ca_file: path.optional(),
    client_auth_type: clientAuth
      .default('NoClientCert')
      .transform((type) => (type === 'RequireClientCert' ? 'RequireAnyClientCert' : type)),
    client_allowed_sans: z.array(z.string().min(1)).min(1).optional(),
    min_version: named(versionNames).default('TLSv1.2'),
    max_version: named(versionNames).default('TLSv1.3'),
    cipher_suites: z.array(named(cipherNames)).optional(),
    prefer_server_cipher_suites: z.boolean().default(true),
    curve_preferences: z.array(named(curveNames)).optional(),
  })
  .superRefine((t, context) => {
    const say = (at: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [at], message });
    };
    const given = (...values: readonly unknown[]): number => values.filter((v) => v !== undefined).length;
    if (given(t.cert, t.cert_file) !== 1) say('cert_file', 'cert_file or cert is wanted, one of them');
    if (given(t.key, t.key_file) !== 1) say('key_file', 'key_file or key is wanted, one of them');
    if (given(t.client_ca, t.client_ca_file) > 1) say('client_ca_file', 'client_ca_file or client_ca, not both');
    if (t.min_version > t.max_version) say('min_version', 'is above max_version');
    const type = t.client_auth_type;
    const verifies = type === 'VerifyClientCertIfGiven' || type === 'RequireAndVerifyClientCert';
    const hasCa = given(t.client_ca, t.client_ca_file) > 0;
    // exporter-toolkit would take every public authority of the machine then: whoever can buy a certificate could come in
    if (verifies && !hasCa) say('client_ca_file', `is wanted with client_auth_type ${type}`);
    if (hasCa && type === 'NoClientCert') say('client_auth_type', 'is wanted with a client_ca_file');
    if (t.client_allowed_sans !== undefined && !type.startsWith('Require')) {
      say('client_allowed_sans', 'wants client_auth_type RequireAndVerifyClientCert or RequireAnyClientCert');
    }
  });

const headerValue = z.string().regex(/^[\t\x20-\x7e]*$/, 'printable ASCII on one line');

const headers = z.strictObject({
  'Strict-Transport-Security': headerValue.optional(),
  'X-Content-Type-Options': z.enum(['', 'nosniff'], 'nosniff').optional(),
  'X-Frame-Options': z.enum(['', 'deny', 'sameorigin'], 'deny or sameorigin').optional(),
  'X-XSS-Protection': headerValue.optional(),
  'Content-Security-Policy': headerValue.optional(),
});

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** As Go writes durations, from milliseconds on. */
const interval = z.union([z.literal(0), z.string()], 'a duration such as 100ms or 1s').transform((value, context) => {
  if (value === 0 || value === '0') return 0;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|[smh])/g)];
  if (parts.length > 0 && parts.map(([whole]) => whole).join('') === value)
    return parts.reduce((sum, [, n = '0', unit = '']) => sum + Number(n) * (milliseconds[unit] ?? 0), 0);
  context.addIssue({ code: 'custom', message: 'a duration such as 100ms or 1s' });
  return z.NEVER;
});

/** Above it one check of a password takes over a minute: nobody could ever log in. */
const mostCost = 18;

const bcryptHash = z.string().superRefine((text, context) => {
  const [, cost] = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text) ?? [];
  if (cost === undefined) context.addIssue('is no bcrypt hash. Make one with: htpasswd -nBC 10 ""');
  else if (Number(cost) < 4 || Number(cost) > mostCost) context.addIssue(`has a cost of ${cost}; 10 to 12 are usual`);
});

/** A record of zod leaves this key out unsaid: where it is the only one, nobody would be asked for a password. */
function hasProto(users: unknown): boolean {
  return typeof users === 'object' && users !== null && Object.hasOwn(users, '__proto__');
}

export const webConfigSchema = z.strictObject({
  tls_server_config: tls.optional(),
  http_server_config: z
    .strictObject({
      /** exporter-toolkit's is true. Express 5 speaks HTTP/1.1 only (its requests and answers are those of node:http). */
      http2: z
        .literal(false, 'HTTP/2 is not served, every client falls back to HTTP/1.1: set it to false or leave it out')
        .default(false),
      headers: headers.default({}),
    })
    .optional(),
  basic_auth_users: z
    .unknown()
    .optional()
    .refine((users) => !hasProto(users), 'nobody can have the name __proto__')
    .pipe(z.record(z.string().regex(/^[^:]+$/, 'a name without a colon'), bcryptHash).nullish())
    .transform((users) => users ?? {}),
  rate_limit: z
    .strictObject({ interval: interval.default(0), burst: z.int().min(0).default(0) })
    .refine((r) => r.interval === 0 || r.burst > 0, 'burst: 0 would refuse every request. Set it to 1 or more')
    .optional(),
});
export type WebDocument = z.output<typeof webConfigSchema>;
export type WebTls = NonNullable<WebDocument['tls_server_config']>;
