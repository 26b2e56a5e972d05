import type { FastifyRequest } from 'fastify';
import type {} from '../../access/require-token.ts';
import { permits } from '../../access/scope.ts';
import { Failure } from '../../kernel/errors.ts';

/** What the caller of an operator's door may do, and under which name it is logged. */
export interface OperatorRights {
  readonly actor: string;
  readonly mayUnmask: boolean;
}

/**
 * Messages are of all patients, so only `system` scopes count: `Communication.r` reads the log, `Communication.u` acts on it, `Patient.r` shows what is
 * masked. The table of routes asks for the first two as well; there any context would do.
 *
 * @throws Failure `auth.scope`
 */
export function operatorRights(request: FastifyRequest, need: 'read' | 'act'): OperatorRights {
  const { grant } = request;
  if (!grant) throw new Failure('auth.missing', 'Send an access token: "Authorization: Bearer …".');
  const scopes = grant.scopes.filter((scope) => scope.context === 'system');
  const letter = need === 'read' ? 'r' : 'u';
  if (!permits(scopes, 'Communication', letter))
    throw new Failure('auth.scope', `This needs a token with the scope system/Communication.${letter}.`);
  return { actor: grant.clientId, mayUnmask: permits(scopes, 'Patient', 'r') };
}

/** Is patient data asked for, and may the caller see it? Throws `auth.scope` when it may not. */
export function wantsUnmasked(given: unknown, rights: OperatorRights): boolean {
  if (given === undefined || given === 'false') return false;
  if (given !== 'true') throw new Failure('http.bad-request', 'unmask must be true or false.');
  if (!rights.mayUnmask)
    throw new Failure(
      'auth.scope',
      'To see patient data this needs a token with the scope system/Patient.r.',
    );
  return true;
}
