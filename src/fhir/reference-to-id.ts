import type { Reference } from '@medplum/fhirtypes';
import type { ResourceId } from './resource-store.ts';

/** What a literal reference names, relative (`Patient/1`) or absolute; null for any other, and for one to a version. */
export function referenceToId(reference: Reference | undefined): ResourceId | null {
  const match = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})$/.exec(reference?.reference ?? '');
  return match ? { type: match[1]!, id: match[2]! } : null;
}
