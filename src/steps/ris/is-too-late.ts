import type { DiagnosticReport } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { hasFinalReport } from '../../governance/final-reports.ts';
import { Failure } from '../../kernel/errors.ts';
import type { OutboundMessageStore } from './outbound-message.store.ts';
import { readRecord } from './read-record.ts';
import { saysUnsigned } from './report-status.ts';

/** A message that somebody wants to be sent after all. */
export interface AskedAgain {
  /** OBR-25. */
  readonly result: string;
  readonly reportId: string;
  readonly patientId: string;
}

/**
 * Would a preliminary result of ours follow somebody else's final report? Only messages that wait are stopped when the final is stored (`StopLatePreliminaries`): a
 * dead letter, or one that is sent a second time, must be looked at here. Until the transaction ends no final report of the patient is stored beside it.
 */
export async function isTooLate(
  tx: Transaction,
  { store, messages }: { readonly store: ResourceStore; readonly messages: OutboundMessageStore },
  { result, reportId, patientId }: AskedAgain,
): Promise<boolean> {
  if (!saysUnsigned(result)) return false;
  await messages.lockFinals(tx, patientId);
  const kept = await store.read('DiagnosticReport', reportId, tx);
  if (!kept || kept.deleted) return false;
  const record = await readRecord(store, kept.parse<DiagnosticReport>()).catch((error: unknown) => {
    if (error instanceof Failure && error.code === 'ris.not-sendable') return null;
    throw error;
  });
  return record !== null && (await hasFinalReport(store, record, tx));
}
