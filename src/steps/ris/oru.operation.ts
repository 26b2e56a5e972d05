import type { DiagnosticReport, Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { demandAccess } from '../../fhir/access-context.ts';
import {
  type OperationAnswer,
  OperationRegistry,
  type OperationRequest,
} from '../../fhir/operation-registry.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import { compareMessages } from './compare-messages.ts';
import { OutboundMessageStore } from './outbound-message.store.ts';
import type { ReadProfile } from './profile-settings.ts';
import { type ReportRecord, readRecord } from './read-record.ts';
import { type OruMessage, reportToOru } from './report-to-oru.ts';
import { RisDestinations } from './ris-destinations.ts';
import { RisProfiles } from './ris-profiles.ts';

/** MSH-10 of a message that is only shown: no receiver ever sees it. */
const DRY_RUN_CONTROL_ID = 'DRYRUN';

/**
 * `GET DiagnosticReport/{id}/$oru`: the message that a report would give now, which is not sent and not stored. `destination` names a receiver (then what
 * changed since its last message is told as it would be), `profile` a profile; without either it is the only receiver there is. `against` names another
 * profile, and the answer says field by field how the two messages differ.
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
    const record = await readRecord(this.store, kept.parse<DiagnosticReport>(), request.access);
    const { profile, destination } = await this.chosen(asked('destination'), asked('profile'));
    const previous = destination === null ? null : await this.messages.told(destination, kept.id);
    const made = dryRun(record, profile, previous);
    const parameter = [...shown(profile, made)];
    const against = asked('against');
    if (against !== '') {
      const other = await this.profiles.read(against);
      const second = dryRun(record, other, previous);
      parameter.push({ name: 'against', part: shown(other, second) });
      parameter.push(
        ...compareMessages(textOf(made), textOf(second)).map(({ at, one, other: two }) => ({
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

function dryRun(
  record: ReportRecord,
  { profile }: ReadProfile,
  previous: Awaited<ReturnType<OutboundMessageStore['told']>>,
): OruMessage {
  const controlId = DRY_RUN_CONTROL_ID;
  return reportToOru({ ...record, profile, controlId, now: new Date(), ...(previous ? { previous } : {}) });
}

function shown({ name, version }: ReadProfile, message: OruMessage): ParametersParameter[] {
  return [
    { name: 'profile', valueString: name },
    { name: 'profileVersion', valueString: version },
    { name: 'message', valueString: textOf(message).replaceAll('\r', '\n').trimEnd() },
    { name: 'raw', valueBase64Binary: message.bytes.toString('base64') },
    { name: 'unmappedLetters', valueInteger: message.unmapped },
    ...message.leftOut.map((text) => ({ name: 'leftOut', valueString: text })),
  ];
}

/** MSH-18 says how it is written. */
const textOf = ({ bytes }: OruMessage): string =>
  bytes.toString(bytes.subarray(0, bytes.indexOf(0x0d)).includes('UNICODE UTF-8') ? 'utf8' : 'latin1');

function parameterOf(body: OperationRequest['body'], name: string): string | undefined {
  if (body?.resourceType !== 'Parameters') return undefined;
  return body.parameter?.find((one) => one.name === name)?.valueString;
}
