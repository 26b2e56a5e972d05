import { describe, expect, it } from 'vitest';
import type { Transaction } from '../../database/database.ts';
import { FULL_ACCESS } from '../../fhir/access-context.ts';
import type { ResourceChange } from '../../fhir/resource-store.ts';
import type { ClientStore } from './client.store.ts';
import { keepClients } from './keep-clients.ts';

const change = (type: string): ResourceChange =>
  ({
    type,
    id: '1',
    versionId: '2',
    interaction: 'update',
    resource: { resourceType: type },
    get previous(): never {
      throw new Error('the version before was parsed');
    },
  }) as unknown as ResourceChange;

describe('following the registrations of clients', () => {
  const listener = keepClients({} as ClientStore, {} as never);

  it('does not have the version before of other types parsed, which every update would pay for', async () => {
    await expect(listener({} as Transaction, [change('Observation')], FULL_ACCESS)).resolves.toBeUndefined();
  });

  it('looks at the version before of a Basic: a registration may have been taken out of it', async () => {
    await expect(listener({} as Transaction, [change('Basic')], FULL_ACCESS)).rejects.toThrow(
      'the version before was parsed',
    );
  });
});
