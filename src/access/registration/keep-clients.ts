import type { Basic } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { AccessContext } from '../../fhir/access-context.ts';
import type { ResourceChange } from '../../fhir/resource-store.ts';
import { isListedHost } from '../../kernel/check-address.ts';
import { Failure } from '../../kernel/errors.ts';
import { checkScopeQueries } from '../check-scope-queries.ts';
import { administers } from '../grant.ts';
import type { OutboundRules } from '../outbound/fetch-json.ts';
import { basicToRegistration, isClient } from './basic-to-registration.ts';
import type { ClientStore } from './client.store.ts';
import { readRegistration } from './read-registration.ts';

/**
 * Follows the Basic resources that register clients, in the transaction that writes them: only an administrator may write one, one that cannot
 * be followed is refused, and the token endpoint sees the change with the commit.
 */
export function keepClients(clients: ClientStore, rules: OutboundRules) {
  return async (
    tx: Transaction,
    changes: readonly ResourceChange[],
    access: AccessContext,
  ): Promise<void> => {
    for (const change of changes) {
      // The version before is parsed when it is asked for: of every resource that would be dear.
      if (change.type !== 'Basic') continue;
      const { id, resource, previous } = change;
      const isNow = isClient(resource as Basic | null);
      if (!isNow && !isClient(previous as Basic | undefined)) continue;
      if (access.grant && !administers(access.grant))
        throw new Failure('auth.scope', 'Clients are registered and changed by an administrator only.');
      if (isNow) await keep(tx, clients, rules, resource as Basic & { id: string });
      else await clients.remove(tx, id);
    }
  };
}

async function keep(
  tx: Transaction,
  clients: ClientStore,
  rules: OutboundRules,
  basic: Basic & { id: string },
): Promise<void> {
  const registration = read(basic);
  const { jwksUri } = registration;
  if (jwksUri !== undefined && !isListedHost(new URL(String(jwksUri)), rules.hosts))
    throw invalid('the host of jwks-uri is none that the setting AUTH_HOSTS names');
  if (clients.isTaken(registration.id) || !(await clients.keep(tx, basic.id, registration)))
    throw invalid('another client has this id');
}

function read(basic: Basic) {
  try {
    const registration = basicToRegistration(basic);
    checkScopeQueries(readRegistration(registration).scopes);
    return registration;
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

const invalid = (text: string) =>
  new Failure('fhir.invalid', `This Basic registers a client, and cannot be followed: ${text}.`, {
    issues: [{ at: 'Basic', text }],
  });
