import type { Device } from '@medplum/fhirtypes';
import type { Field, Row } from '../../hl7/codec.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import type { OruInput } from './oru-input.ts';

/** One OBX to write; OBX-1 is counted when the message is finished. */
export interface Obx {
  readonly type: string;
  readonly code: Field;
  readonly sub?: string;
  readonly value: Field;
  readonly units?: Field;
  readonly range?: string;
  readonly flag?: string;
  readonly status: string;
  /** FHIR dateTime. */
  readonly time?: string;
  readonly device?: Device;
}

export function obx(one: Obx, input: OruInput): Row {
  return {
    segment: 'OBX',
    fields: {
      1: '1',
      2: typeOf(one.type, input),
      3: one.code,
      4: one.sub ?? '',
      5: one.value,
      6: one.units ?? '',
      7: one.range ?? '',
      8: one.flag ?? '',
      11: one.status,
      14: dateTimeToTimestamp(one.time, input.profile),
      ...(one.device ? deviceFields(one.device, input) : {}),
    },
  };
}

/** Coded values are CE before v2.5, where CWE took its place (chapter 2A). */
const typeOf = (type: string, { profile }: OruInput): string =>
  type === 'CWE' && (profile.version === '2.3.1' || profile.version === '2.4') ? 'CE' : type;

/** OBX-17 and OBX-18: the model and its version. OBX-18 came with v2.4. */
function deviceFields(device: Device, input: OruInput): Row['fields'] {
  const name = device.deviceName?.[0]?.name ?? '';
  const version = device.version?.[0]?.value ?? '';
  const id = device.identifier?.find((one) => one.system === IDENTIFIER_SYSTEMS.model)?.value ?? '';
  const method = [id, `${name} ${version}`.trim(), '99PRELIM'];
  if (input.profile.version === '2.3.1') return { 17: method };
  return { 17: method, 18: [id, input.profile.sendingApplication] };
}
