import type { DiagnosticReport, Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { demandAccess } from '../../fhir/access-context.ts';
import {
  type OperationAnswer,
  OperationRegistry,
  type OperationRequest,
} from '../../fhir/operation-registry.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { builtText } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';
import { compareMessages } from './compare-messages.ts';
import { isTakenBack } from './mark-changes.ts';
import { OutboundMessageStore, type ToldMessage } from './outbound-message.store.ts';
import type { ReadProfile } from './profile-settings.ts';
import { patientIdOf, type ReportRecord, readRecord } from './read-record.ts';
import { type OruMessage, reportToOru } from './report-to-oru.ts';
import { RisDestinations } from './ris-destinations.ts';
import { RisProfiles } from './ris-profiles.ts';
import { takeBackMisplaced } from './take-back.ts';
import { whyMisplaced } from './why-misplaced.ts';

/** MSH-10 of a message that is only shown: no receiver ever sees it. */
const DRY_RUN_CONTROL_ID = 'DRYRUN';

/**
 * `GET DiagnosticReport/{id}/$oru`: the message that a report would give now, which is not sent and not stored. `destination` names a receiver (then what
 * changed since its last message is told as it would be), `profile` a profile; without either it is the only receiver there is. `against` names another
 * profile, and the answer says field by field how the two messages differ. Where the report is another patient's since, or its study has another accession, placer or filler
 * number, the message that takes the last one back from where it stands is shown as `takeBack`.
 */
@Injectable()
export class OruOperation implements OnModuleInit {
  constructor(
    private readonly operations: OperationRegistry,
    private readonly store: ResourceStore,
    private readonly messages: OutboundMessageStore,
    private readonly destinations: RisDestinations,
    private readonly profiles: RisProfiles,
  ) {}

  onModuleInit(): void {
    this.operations.register({
      name: '$oru',
      level: 'instance',
      type: 'DiagnosticReport',
      parameters: ['destination', 'profile', 'against'],
      get: true,
      run: (request) => this.show(request),
    });
  }

  private async show(request: OperationRequest): Promise<OperationAnswer> {
    demandAccess(request.access, 'DiagnosticReport', 'read');
    // The message holds name, birth date and numbers of the patient.
    demandAccess(request.access, 'Patient', 'read');
    const asked = (name: string) => request.query.get(name) ?? parameterOf(request.body, name) ?? '';
    const kept = await this.store.read('DiagnosticReport', request.id ?? '', undefined, request.access);
    if (!kept || kept.deleted) throw new Failure('fhir.not-found', 'There is no such DiagnosticReport.');
    const report = kept.parse<DiagnosticReport>();
    const record = await readRecord(this.store, report, request.access);
    const { profile, destination } = await this.chosen(asked('destination'), asked('profile'));
    const told = destination === null ? null : await this.messages.told(destination, kept.id);
    const words = told && (await this.whyMisplaced(told, report, profile));
    const run = { record, previous: words === null ? told : null, now: new Date() };
    const made = dryRun(profile, run);
    const parameter = [...shown(profile, made)];
    if (told && words && (await this.mayShow(told, request)))
      parameter.push({ name: 'takeBack', valueString: lines(takenBack(told, words, profile, run.now)) });
    const against = asked('against');
    if (against !== '') {
      const other = await this.profiles.read(against);
      const second = dryRun(other, run);
      parameter.push({ name: 'against', part: shown(other, second) });
      parameter.push(
        ...compareMessages(builtText(made.bytes), builtText(second.bytes)).map(({ at, one, other: two }) => ({
          name: 'difference',
          part: [
            { name: 'at', valueString: at },
            ...(one === '' ? [] : [{ name: 'message', valueString: one }]),
            ...(two === '' ? [] : [{ name: 'against', valueString: two }]),
          ],
        })),
      );
    }
    return { status: 200, resource: { resourceType: 'Parameters', parameter } satisfies Parameters };
  }

  /** By the whole record: an order that the asker may not see has its number all the same. */
  private async whyMisplaced(
    told: ToldMessage,
    report: DiagnosticReport,
    { profile }: ReadProfile,
  ): Promise<string | null> {
    const record = await readRecord(this.store, report);
    return whyMisplaced(this.store, told, patientIdOf(report) ?? told.patientId, { record, profile });
  }

  /** The message that is taken back holds name and numbers of the patient it was about. */
  private async mayShow({ patientId, raw }: ToldMessage, { access }: OperationRequest): Promise<boolean> {
    if (raw.length === 0 || isTakenBack(raw)) return false;
    const patient = await this.store.read('Patient', patientId, undefined, access);
    return patient !== null && !patient.deleted;
  }

  private async chosen(
    destination: string,
    profile: string,
  ): Promise<{ profile: ReadProfile; destination: string | null }> {
    if (profile !== '' && destination === '')
      return { profile: await this.profiles.read(profile), destination: null };
    const { all } = this.destinations;
    const found = destination === '' && all.length === 1 ? all[0] : this.destinations.named(destination);
    if (!found) {
      const names = all.map(({ name }) => name).join(', ') || 'none';
      throw new Failure(
        'ris.unknown-destination',
        `Name a receiver (?destination=…) or a profile (?profile=…). Receivers: ${names}. Profiles: ${this.profiles.names.join(', ')}.`,
      );
    }
    const chosen = profile === '' ? await found.freshProfile() : await this.profiles.read(profile);
    return { profile: chosen, destination: found.name };
  }
}

interface DryRun {
  readonly record: ReportRecord;
  readonly previous: ToldMessage | null;
  /** One time for all messages that are shown: else they differ by when they were made. */
  readonly now: Date;
}

function dryRun({ profile }: ReadProfile, { record, previous, now }: DryRun): OruMessage {
  const controlId = DRY_RUN_CONTROL_ID;
  return reportToOru({ ...record, profile, controlId, now, ...(previous ? { previous } : {}) });
}

const takenBack = ({ raw }: ToldMessage, words: string, { profile }: ReadProfile, now: Date): Buffer =>
  takeBackMisplaced(raw, { controlId: DRY_RUN_CONTROL_ID, now, profile, words });

function shown({ name, version }: ReadProfile, message: OruMessage): ParametersParameter[] {
  return [
    { name: 'profile', valueString: name },
    { name: 'profileVersion', valueString: version },
    { name: 'message', valueString: lines(message.bytes) },
    { name: 'raw', valueBase64Binary: message.bytes.toString('base64') },
    { name: 'unmappedLetters', valueInteger: message.unmapped },
    ...message.leftOut.map((text) => ({ name: 'leftOut', valueString: text })),
  ];
}

const lines = (bytes: Buffer): string => builtText(bytes).replaceAll('\r', '\n').trimEnd();

function parameterOf(body: OperationRequest['body'], name: string): string | undefined {
  if (body?.resourceType !== 'Parameters') return undefined;
  return body.parameter?.find((one) => one.name === name)?.valueString;
}
