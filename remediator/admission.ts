// Who calls the API: a token may have a name, which stands in the audit, and roles, which say what its owner may approve.
import { admitBearer, type Admission } from './tokens.ts';

/** One person or one script. */
export interface ApiToken {
  readonly file: string;
  readonly name: string;
  readonly roles: readonly string[];
}

export interface Caller {
  /** undefined: the token is shared, and the caller says who it is. */
  readonly name: string | undefined;
  readonly may: (role: string) => boolean;
}

export type CallerAdmission =
  { readonly is: 'admitted'; readonly caller: Caller } | Exclude<Admission, { readonly is: 'admitted' }>;

export type AdmitCaller = (authorization: string | undefined) => Promise<CallerAdmission>;

/** A role of this name may approve everything. */
const everyRole = '*';

/**
 * Tokens without a name have every role as long as none has a name: as soon as people are told apart, what cannot be told
 * apart approves nothing.
 */
export function admitCallers(named: readonly ApiToken[], shared: readonly string[]): AdmitCaller {
  const all = [
    ...named.map(({ file, name, roles }) => ({
      admit: admitBearer([file]),
      caller: { name, may: (role: string) => roles.includes(role) || roles.includes(everyRole) },
    })),
    ...(shared.length === 0
      ? []
      : [{ admit: admitBearer(shared), caller: { name: undefined, may: () => named.length === 0 } }]),
  ];
  return async (authorization) => {
    // Every token is compared, whichever fits: the time says nothing.
    const results = await Promise.all(
      all.map(async ({ admit, caller }) => ({ admission: await admit(authorization), caller })),
    );
    const admitted = results.find(({ admission }) => admission.is === 'admitted');
    if (admitted !== undefined) return { is: 'admitted', caller: admitted.caller };
    const refusals = results.map(({ admission }) => admission).filter((a) => a.is !== 'admitted');
    const readable = refusals.find((a) => a.is !== 'unreadable');
    return readable ?? { is: 'unreadable', why: refusals.flatMap((a) => (a.is === 'unreadable' ? a.why : [])) };
  };
}
