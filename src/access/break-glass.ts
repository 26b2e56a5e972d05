import type { Parameters } from '@medplum/fhirtypes';
import type { Database } from '../database/database.ts';
import { accessOfGrant, demandAccess, type Granted } from '../fhir/access-context.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../fhir/operation-registry.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { Roles } from './access-of-grant.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { Role } from './grant.ts';
import { BREAK_GLASS } from './predicate/rules-of-grant.ts';
import { type Permission, type Scope, scopeText } from './scope.ts';

/** An emergency; whoever still needs it asks again, and gives the reason again. */
export const BREAK_GLASS_LIFETIME_S = 900;
/** A sentence, not a word: `emergency` says nothing afterwards. */
export const REASON_CHARS_MIN = 10;
export const REASON_CHARS_MAX = 500;

/**
 * `POST [base]/Patient/[id]/$break-glass` with a parameter `reason`: a token of 15 minutes (parameter `access_token`) that shows of this one patient's record what
 * the app may read, labels and opt-out notwithstanding, and nothing else. For people whose role has `breakGlass`. It is recorded, with the reason, before the token is given; whatever is done with it
 * carries the purpose of use BTG.
 */
export function breakGlassOperation(
  tokens: AccessTokens,
  store: ResourceStore,
  database: Database,
  roles: Roles,
): Operation {
  return {
    name: '$break-glass',
    level: 'instance',
    type: 'Patient',
    parameters: ['reason'],
    run: async (request) => {
      const grant = mayBreak(request, roles);
      const reason = reasonIn(request);
      const patient = request.id ?? '';
      const scopes = readingOf(grant);
      const opened = { ...grant, patient, purposeOfUse: BREAK_GLASS, scopes };
      await demandPatient(patient, opened, store);
      await database.audit?.record({
        kind: 'break-glass',
        interaction: '$break-glass',
        action: 'E',
        outcome: 0,
        entity: `Patient/${patient}`,
        patients: [patient],
        detail: reason,
      });
      const { token } = await tokens.issueFor(
        { ...contentOf(grant), patient, purposeOfUse: BREAK_GLASS, scope: scopeText(scopes) },
        BREAK_GLASS_LIFETIME_S,
      );
      return answer(token, patient, scopeText(scopes));
    },
  };
}

/**
 * What the app has of its person's rights, for the one patient, and reading only: an emergency is no reason to write what one could not otherwise, nor to lend an app more than it was given. An
 * app that was opened for one patient has nothing of another.
 */
function readingOf({ scopes }: Granted): Scope[] {
  return scopes.flatMap(({ context, type, permissions, query }) => {
    const letters = [...permissions].filter((letter) => letter === 'r' || letter === 's') as Permission[];
    if (context !== 'user' || letters.length === 0) return [];
    const reading = { context: 'patient' as const, type, permissions: new Set(letters) };
    return [query === undefined ? reading : { ...reading, query }];
  });
}

/** A token got this way does not open the next record, and no client without a person does. */
function mayBreak(
  { caller, access }: OperationRequest,
  roles: Roles,
): Granted & { readonly clientId: string } {
  const may = caller?.roles?.some((role) => roles.get(role as Role)?.breakGlass);
  const isPerson = caller?.subject !== undefined && caller.subject !== caller.clientId;
  if (!caller || !may || !isPerson || caller.purposeOfUse === BREAK_GLASS || readingOf(caller).length === 0)
    throw new Failure(
      'auth.scope',
      'This is for people with a role that may break the glass, with a token of their own that has user/ scopes to read.',
    );
  demandAccess(access, 'Patient', 'read');
  return caller;
}

function reasonIn({ body }: OperationRequest): string {
  const given = body?.resourceType === 'Parameters' ? (body.parameter ?? []) : [];
  const reason = given.find(({ name }) => name === 'reason')?.valueString?.trim() ?? '';
  if (reason.length < REASON_CHARS_MIN || reason.length > REASON_CHARS_MAX)
    throw new Failure(
      'fhir.invalid',
      `Give a parameter reason (valueString) of ${REASON_CHARS_MIN} to ${REASON_CHARS_MAX} characters: it is kept with the record of this access.`,
    );
  return reason;
}

/** By the rights that are asked for: whoever may break the glass may learn that there is such a patient. */
async function demandPatient(id: string, opened: Granted, store: ResourceStore): Promise<void> {
  const stored = await store.read('Patient', id, undefined, accessOfGrant(opened));
  if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  if (stored.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
}

/** It ends with the token in whose place it is given, and with all that came of the same approval. */
const contentOf = ({
  clientId,
  subject,
  fhirUser,
  roles,
  tokenId,
  family = tokenId,
}: Granted & { readonly clientId: string }) => ({
  clientId,
  ...(family === undefined ? {} : { family }),
  ...(subject === undefined ? {} : { subject }),
  ...(fhirUser === undefined ? {} : { fhirUser }),
  ...(roles === undefined ? {} : { roles: roles as readonly Role[] }),
});

function answer(token: string, patient: string, scope: string): OperationAnswer {
  const resource: Parameters = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'access_token', valueString: token },
      { name: 'token_type', valueCode: 'Bearer' },
      { name: 'expires_in', valueInteger: BREAK_GLASS_LIFETIME_S },
      { name: 'scope', valueString: scope },
      { name: 'patient', valueId: patient },
    ],
  };
  return { status: 200, resource, headers: { 'cache-control': 'no-store' } };
}
