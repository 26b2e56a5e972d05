import type { CodeSystem } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { SystemDescription } from './staging.ts';

/**
 * The CodeSystem by which an imported code system is found over FHIR. Its concepts are not in the resource (R4 codesystem.html: content
 * `not-present`); what is asked of it is answered from the tables.
 */
export async function writeHeader(
  store: ResourceStore,
  tx: Transaction,
  description: SystemDescription,
  concepts: number,
): Promise<void> {
  const { url, version, name, title, copyright, caseSensitive, properties } = description;
  const property = Object.entries(properties).map(([code, type]) => ({ code, type }));
  const resource: CodeSystem & { id: string } = {
    resourceType: 'CodeSystem',
    id: headerId(url, version),
    url,
    version,
    name,
    title,
    status: 'active',
    content: 'not-present',
    caseSensitive,
    count: concepts,
    ...(copyright ? { copyright } : {}),
    ...(property.length > 0 ? { property } : {}),
  };
  await store.write(tx, [{ kind: 'update', resource, unchanged: 'skip' }]);
}

/** The same for each import of a version, so that the next one is its next version. */
export const headerId = (url: string, version: string): string => stableId('CodeSystem', url, version);
