import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { type ResourceChange, ResourceStore } from '../../fhir/resource-store.ts';
import { hasFinalReport } from '../../governance/final-reports.ts';
import { isSigned } from '../../governance/standing.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import { readRecord } from './read-record.ts';
import { RisDestinations } from './ris-destinations.ts';

/**
 * When somebody else's final report is stored, our unsigned messages about the same exam that still wait are stopped, in the transaction that stores it: so the
 * step that sends need not ask before each message, and none slips through between asking and sending.
 */
@Injectable()
export class StopLatePreliminaries implements OnModuleInit {
  constructor(
    private readonly store: ResourceStore,
    private readonly messages: OutboundMessageStore,
    private readonly destinations: RisDestinations,
  ) {}

  onModuleInit(): void {
    this.store.onChange(async (tx, changes) => {
      for (const report of changes.flatMap((change) => foreignFinal(change) ?? []))
        await this.stop(tx, report);
    });
  }

  private async stop(tx: Transaction, final: DiagnosticReport): Promise<void> {
    const patientId = /(?:^|\/)Patient\/([^/]+)/.exec(final.subject?.reference ?? '')?.[1] ?? '';
    const numbers = (final.identifier ?? []).flatMap(({ value }) => value ?? []);
    // Most final reports find nothing of ours: three round trips of a transaction become one.
    if (this.messages.guessNoneWaiting(tx, patientId, numbers)) return;
    await this.messages.lockFinals(tx, patientId);
    for (const waiting of await this.messages.unsignedWaiting(tx, patientId, numbers)) {
      const profile = await this.destinations.named(waiting.destination)?.profile();
      if (profile?.preliminaryAfterFinal) continue;
      const kept = await this.store.read('DiagnosticReport', waiting.reportId, tx);
      if (!kept || kept.deleted) continue;
      const record = await readRecord(this.store, kept.parse<DiagnosticReport>()).catch(notSendable);
      if (record !== null && (await hasFinalReport(this.store, record, tx)))
        await this.messages.stop(tx, waiting.id, 'ris.final-seen');
    }
  }
}

function foreignFinal({ type, resource }: ResourceChange): DiagnosticReport | null {
  if (type !== 'DiagnosticReport' || !resource) return null;
  const report = resource as DiagnosticReport;
  const isOurs = report.identifier?.some(({ system }) => system === IDENTIFIER_SYSTEMS.filler) === true;
  return isSigned(report) && !isOurs ? report : null;
}

function notSendable(error: unknown): null {
  if (error instanceof Failure && error.code === 'ris.not-sendable') return null;
  throw error;
}
