import { randomUUID } from 'node:crypto';
import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import type { OruStored, ReportWritten } from '../../kernel/handoffs.ts';
import { done, givenUp, type Step, type StepResult, skipped } from '../step.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import { readRecord } from './read-record.ts';
import { reportToOru } from './report-to-oru.ts';
import { RisDestination } from './ris-destination.ts';

/**
 * Report → stored ORU^R01. The message says what the record says now: when a newer version was written meanwhile, that one goes out, and the
 * handoff of the newer version finds it stored.
 */
@Injectable()
export class RisMessageStep implements Step<ReportWritten, OruStored> {
  readonly name = 'ris-message';

  constructor(
    private readonly store: ResourceStore,
    private readonly messages: OutboundMessageStore,
    private readonly destination: RisDestination,
  ) {}

  async run(handoff: ReportWritten): Promise<StepResult<OruStored>> {
    const destination = this.destination.name;
    if (destination === null) return skipped('no RIS configured');
    const kept = await this.store.read('DiagnosticReport', handoff.diagnosticReportId);
    if (!kept || kept.deleted) return skipped('the report is gone');
    const reportVersion = Number(kept.versionId);
    try {
      const [stored, record, controlId, now] = await Promise.all([
        this.messages.has(destination, kept.id, reportVersion),
        readRecord(this.store, kept.parse<DiagnosticReport>()),
        this.messages.nextControlId(),
        this.nextTime(destination, kept.id),
      ]);
      if (stored) return skipped('this version is stored already');
      const { bytes, unmapped } = reportToOru({
        ...record,
        profile: this.destination.profile,
        controlId,
        now,
      });
      const next: OruStored = { messageId: randomUUID(), lane: `ris:${destination}:${handoff.patientId}` };
      const { messageId: id, lane } = next;
      const message = {
        id,
        destination,
        lane,
        controlId,
        raw: bytes,
        reportId: kept.id,
        reportVersion,
        messageTime: now,
        unmapped,
      };
      const write = async (tx: Parameters<OutboundMessageStore['add']>[0]) =>
        (await this.messages.add(tx, message)) ? next : undefined;
      return done<OruStored>(null, { write });
    } catch (error) {
      if (error instanceof Failure && error.code === 'ris.not-sendable') return givenUp(error.message);
      throw error;
    }
  }

  /** Receivers compare OBR-22 to the second, and drop a version that is not later: a second is added where needed. */
  private async nextTime(destination: string, reportId: string): Promise<Date> {
    const last = await this.messages.lastMessageTime(destination, reportId);
    const now = Math.floor(Date.now() / 1000) * 1000;
    return new Date(last === null ? now : Math.max(now, last.getTime() + 1000));
  }
}
