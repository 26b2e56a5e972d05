import type { ImagingStudy, Task } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceChange, ResourceStore } from '../../fhir/resource-store.ts';
import { ANALYSIS_CODE } from '../../governance/analysis-task.ts';
import { withdrawWithStudy } from '../../governance/refuse-analysis.ts';

/**
 * A person says that a study is void (ImagingStudy `cancelled`, or `entered-in-error`): its results that nobody has signed go with it, in the transaction that says
 * so, and RIS and PACS are told. What is signed stays: who signed it takes it back.
 */
export function withdrawResultsWithStudy(store: ResourceStore): void {
  store.onChange(async (tx, changes) => {
    for (const change of changes) {
      const status = voided(change);
      if (status !== null) await withdraw(store, tx, change.id, status);
    }
  });
}

type Voided = 'cancelled' | 'entered-in-error';

function voided({ type, resource, previous }: ResourceChange): Voided | null {
  if (type !== 'ImagingStudy' || !resource) return null;
  const { status } = resource as ImagingStudy;
  if (status !== 'cancelled' && status !== 'entered-in-error') return null;
  return (previous as ImagingStudy | undefined)?.status === status ? null : status;
}

async function withdraw(store: ResourceStore, tx: Transaction, studyId: string, status: Voided) {
  const query = new URLSearchParams({
    focus: `ImagingStudy/${studyId}`,
    code: `${ANALYSIS_CODE.system}|${ANALYSIS_CODE.code}`,
  });
  // One for each model version that ever looked at the study: a page as a rule.
  for (let next: string | null = ''; next !== null; ) {
    if (next !== '') query.set('_cursor', next);
    const page = await store.search('Task', query, tx);
    for (const stored of page.matches)
      await withdrawWithStudy(store, tx, stored.parse<Task & { id: string }>(), status);
    next = page.next;
  }
}
