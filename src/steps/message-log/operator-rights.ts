import type { FastifyRequest } from 'fastify';
import type {} from '../../access/require-token.ts';
import { accessCondition, accessOfGrant } from '../../fhir/access-context.ts';
import { SqlParameters } from '../../fhir/sql-parameters.ts';
import { Failure } from '../../kernel/errors.ts';

/** What the caller of an operator's door may do, and under which name it is logged. */
export interface OperatorRights {
  readonly actor: string;
  readonly mayUnmask: boolean;
}

/**
 * The table of doors has asked for the role and for the right on Task (`access/doors.ts`). Messages are of all patients: what is masked is shown to those only who may read
 * every Patient.
 *
 * @throws Failure `auth.missing`
 */
export function operatorRights(request: FastifyRequest): OperatorRights {
  const { grant } = request;
  if (!grant) throw new Failure('auth.missing', 'Send an access token: "Authorization: Bearer …".');
  const access = accessOfGrant(grant);
  const mayUnmask = accessCondition(access, 'Patient', 'read', 'r', new SqlParameters()) === null;
  return { actor: grant.fhirUser ?? grant.subject, mayUnmask };
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
