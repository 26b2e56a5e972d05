import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Transaction } from '../../database/database.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { hasFinalReport } from '../../governance/final-reports.ts';
import { isWithdrawn } from '../../governance/standing.ts';
import { Failure } from '../../kernel/errors.ts';
import { laneJob, type OruStored, type ReportWritten, RIS_MESSAGE_QUEUE } from '../../kernel/handoffs.ts';
import { Outbox } from '../../queue/outbox.ts';
import { done, givenUp, type Step, type StepResult, skipped } from '../step.ts';
import { replaceDeadLetter, settleDeadLetter } from './dead-letters.store.ts';
import { isMeantFor } from './is-meant-for.ts';
import { type MadeMessage, type MessageAsked, makeMessage, messageOfDeleted } from './make-message.ts';
import { isSameContent, isTakenBack } from './mark-changes.ts';
import { OutboundMessageStore, type ToldMessage } from './outbound-message.store.ts';
import { patientIdOf, readRecord } from './read-record.ts';
import { saysUnsigned } from './report-status.ts';
import type { RisDestination } from './ris-destination.ts';
import { RisDestinations } from './ris-destinations.ts';
import { whyMisplaced, whyNotThisPatient } from './why-misplaced.ts';

/**
 * Report → stored ORU^R01, one for each receiver that wants it. The message says what the record says now: when a newer version was written meanwhile, that
 * one goes out, and the handoff of the newer version finds it stored.
 */
@Injectable()
export class RisMessageStep implements Step<ReportWritten, OruStored> {
  readonly name = 'ris-message';

  constructor(
    private readonly store: ResourceStore,
    private readonly messages: OutboundMessageStore,
    private readonly destinations: RisDestinations,
    private readonly outbox: Outbox,
  ) {}

  async run(handoff: ReportWritten): Promise<StepResult<OruStored>> {
    const { all } = this.destinations;
    if (handoff.destination !== undefined) {
      const one = this.destinations.named(handoff.destination);
      return one === null ? skipped('no such destination is configured') : this.make(handoff, one);
    }
    if (all.length > 1) return this.forEach(handoff, all);
    return all[0] === undefined ? skipped('no RIS configured') : this.make(handoff, all[0]);
  }

  /** A job for each receiver, in the same lane: what one of them cannot be told is no matter of the others. */
  private forEach(handoff: ReportWritten, all: readonly RisDestination[]): StepResult<OruStored> {
    const jobs = all.map(({ name }) => ({
      queue: RIS_MESSAGE_QUEUE,
      payload: { ...handoff, destination: name },
      lane: `oru:${handoff.patientId}`,
    }));
    return done<OruStored>(null, { write: (tx) => this.outbox.add(tx, jobs) });
  }

  private async make(handoff: ReportWritten, destination: RisDestination): Promise<StepResult<OruStored>> {
    const kept = await this.store.read('DiagnosticReport', handoff.diagnosticReportId);
    // Removed for ever, or only deleted.
    if (!kept) return this.takeBack(handoff, handoff.versionId, destination);
    if (kept.deleted) return this.takeBack(handoff, Number(kept.versionId), destination);
    const version = Number(kept.versionId);
    const report = kept.parse<DiagnosticReport>();
    const [latest, told, controlId, profile] = await Promise.all([
      this.messages.latest(destination.name, kept.id),
      this.messages.told(destination.name, kept.id),
      this.messages.nextControlId(),
      destination.freshProfile(),
    ]);
    const isStored = latest !== null && latest.reportVersion >= version && latest.state !== 'superseded';
    // What has not been told of the report at all is told with its version, or not at all.
    if (handoff.findingEdited && latest === null) return skipped('nothing was told of this report');
    if (handoff.ifMisplaced && told === null) return skipped('nothing was told of this report');
    // Withdrawn before it was told: a message would make a result known by taking it back.
    if (told === null && handoff.rebuildOf === undefined && isWithdrawn(report))
      return skipped('nothing was told of this report');
    const sameVersion = handoff.rebuildOf !== undefined || handoff.findingEdited || handoff.ifMisplaced;
    if (isStored && !sameVersion) return skipped('this version is stored already');
    const patientId = patientIdOf(report) ?? handoff.patientId;
    const about = { destination: destination.name, reportId: kept.id, reportVersion: version, patientId };
    const context = { about, latest, profile, controlId, versionOf: handoff.rebuildOf ?? null };
    let words: string | null = null;
    try {
      const record = await readRecord(this.store, report);
      if (told === null && !isMeantFor(destination.filter, record))
        return skipped('the filter of the destination leaves this report out');
      words = told && (await whyMisplaced(this.store, told, patientId, { record, profile: profile.profile }));
      const before = await this.before(told, words);
      if (handoff.ifMisplaced && before.misplaced === null) return skipped('it stands where it belongs');
      const made = makeMessage({ ...context, ...before, record, now: new Date() });
      const isThere = words === null && (told?.patientId || patientId) === patientId;
      const isSame = () => told && isSameContent(made.message.raw, told.raw, profile.profile.narrative);
      if (handoff.findingEdited && isThere && isSame()) return skipped('the receiver would see what it has');
      return done<OruStored>(null, {
        write: async (tx) => {
          if (handoff.rebuildOf !== undefined) await settleDeadLetter(tx, handoff.rebuildOf);
          return this.keep(tx, made, destination, record);
        },
      });
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'ris.not-sendable') throw error;
      words ??= told && (await whyNotThisPatient(this.store, told, patientId));
      // Its version is a dead letter already.
      if (handoff.ifMisplaced && words === null) return skipped('the record makes no message');
      const missing = error.issues.find(({ at }) => at !== undefined)?.at;
      const unmade = makeMessage({
        ...context,
        ...(await this.before(told, words)),
        record: null,
        now: new Date(),
        ...(missing ? { missing } : {}),
      });
      return givenUp(error.message, async (tx) => {
        if (handoff.rebuildOf !== undefined) await replaceDeadLetter(tx, handoff.rebuildOf);
        await this.keepTakeBack(tx, unmade.takeBack, destination);
        await this.messages.add(tx, unmade.message);
      });
    }
  }

  /** What the message goes on from, and what must be taken back first: `words` say why what was told must not stay where it is. */
  private async before(
    told: ToldMessage | null,
    words: string | null,
  ): Promise<Pick<MessageAsked, 'told' | 'misplaced'>> {
    if (told === null || words === null) return { told, misplaced: null };
    // What was taken back there is nothing that this message goes on from.
    if (isTakenBack(told.raw)) return { told: null, misplaced: null };
    return { told, misplaced: { words, controlId: await this.messages.nextControlId() } };
  }

  /** The report was deleted: who was told of it is told that. */
  private async takeBack(
    handoff: ReportWritten,
    reportVersion: number,
    destination: RisDestination,
  ): Promise<StepResult<OruStored>> {
    const { diagnosticReportId: reportId, patientId, rebuildOf } = handoff;
    const [latest, told] = await Promise.all([
      this.messages.latest(destination.name, reportId),
      this.messages.told(destination.name, reportId),
    ]);
    if (told === null || told.result === 'X' || isTakenBack(told.raw)) return skipped('the report is gone');
    const message = messageOfDeleted(
      {
        about: { destination: destination.name, reportId, reportVersion, patientId },
        latest,
        profile: await destination.freshProfile(),
        controlId: await this.messages.nextControlId(),
        versionOf: rebuildOf ?? null,
        now: new Date(),
      },
      told,
    );
    return done<OruStored>(null, {
      write: async (tx) => {
        if (rebuildOf !== undefined) await settleDeadLetter(tx, rebuildOf);
        const isAdded = await this.messages.add(tx, message);
        return isAdded && message.state === 'waiting' ? handoffOf(message, destination) : undefined;
      },
    });
  }

  /** In one transaction with the end of the job: what takes an earlier message back goes first, in the same lane. */
  private async keep(
    tx: Transaction,
    { message, takeBack }: MadeMessage,
    destination: RisDestination,
    record: Parameters<typeof hasFinalReport>[1],
  ): Promise<OruStored | void> {
    const { preliminaryAfterFinal } = await destination.profile();
    await this.keepTakeBack(tx, takeBack, destination);
    if (saysUnsigned(message.result) && !preliminaryAfterFinal) {
      await this.messages.lockFinals(tx, message.patientId);
      if (await hasFinalReport(this.store, record, tx)) {
        await this.messages.add(tx, { ...message, state: 'stopped', error: 'ris.final-seen' });
        return undefined;
      }
    }
    return (await this.messages.add(tx, message)) ? handoffOf(message, destination) : undefined;
  }

  private async keepTakeBack(
    tx: Transaction,
    takeBack: MadeMessage['takeBack'],
    destination: RisDestination,
  ): Promise<void> {
    if (takeBack === null || !(await this.messages.add(tx, takeBack)) || takeBack.state !== 'waiting') return;
    await this.outbox.add(tx, [laneJob(handoffOf(takeBack, destination))]);
  }
}

const handoffOf = (
  { id, lane }: { readonly id: string; readonly lane: string },
  { isNamed, name }: RisDestination,
): OruStored => ({ messageId: id, lane, ...(isNamed ? { destination: name } : {}) });
