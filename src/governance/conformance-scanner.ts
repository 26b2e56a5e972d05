import type { Device } from '@medplum/fhirtypes';
import { jsonPersonName, jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { IDENTIFIER_SYSTEMS } from '../kernel/code-systems.ts';
import { stableId } from '../kernel/stable-id.ts';

/** The device that made the images, as it names itself. Empty: it does not say, or says what no device would. */
export interface Scanner {
  /** Also the id of its Device: the same for the same four names. */
  readonly id: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly station: string;
  readonly serial: string;
}

/** Stands for scanners that say nothing of themselves, and for those beyond `SCANNERS_MAX`. */
export const OTHER_SCANNER = 'other';

/**
 * Manufacturer (0008,0070), ManufacturerModelName (0008,1090), StationName (0008,1010), DeviceSerialNumber (0018,1000), PS3.3 C.7.5.1. Null when
 * none of them is there.
 */
export function scannerOf(image: DicomJson): Scanner | null {
  const name = (tag: string) => plainName(jsonString(image, tag) ?? '', image);
  const [manufacturer, model] = [name('00080070'), name('00081090')];
  const [station, serial] = [name('00081010'), name('00181000')];
  if (`${manufacturer}${model}${station}${serial}` === '') return null;
  const id = `scanner-${stableId(manufacturer, model, station, serial)}`;
  return { id, manufacturer, model, station, serial };
}

/**
 * The name, or nothing when it is not the kind of text a device name is, or holds a part of the patient's name or number: a console filled in
 * wrongly must not put a patient on the list of scanners.
 */
function plainName(text: string, image: DicomJson): string {
  if (!DEVICE_NAME.test(text)) return '';
  const patient = jsonPersonName(image, '00100010');
  const words = [jsonString(image, '00100020') ?? '', patient?.family ?? '', ...(patient?.given ?? [])]
    .map((word) => word.toUpperCase())
    .filter((word) => word.length >= PATIENT_WORD_CHARACTERS_MIN);
  return words.some((word) => text.toUpperCase().includes(word)) ? '' : text;
}

/** PS3.5 6.2: LO has 64 characters at most. */
const DEVICE_NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._\-/()+&,:#*]{0,63}$/u;
/** Shorter parts of a name (initials, "1") are met in device names by chance. */
const PATIENT_WORD_CHARACTERS_MIN = 4;

/** Written once; from then on it is the site's: a location, a note, another name. */
export function scannerToDevice(scanner: Scanner): Device & { id: string } {
  const { id, manufacturer, model, station, serial } = scanner;
  const names = [
    ...(station === '' ? [] : [{ name: station, type: 'user-friendly-name' as const }]),
    ...(model === '' ? [] : [{ name: model, type: 'model-name' as const }]),
  ];
  return {
    resourceType: 'Device',
    id,
    identifier: [{ system: IDENTIFIER_SYSTEMS.scanner, value: id }],
    status: 'active',
    ...(manufacturer === '' ? {} : { manufacturer }),
    ...(serial === '' ? {} : { serialNumber: serial }),
    ...(names.length > 0 ? { deviceName: names } : {}),
    ...(model === '' ? {} : { modelNumber: model }),
    type: { text: 'Imaging scanner' },
  };
}

/** `CT01, Somatom X, Siemens, serial 123`, for people. */
export function scannerText(device: Device): string {
  const name = (type: string) => device.deviceName?.find((one) => one.type === type)?.name;
  return [
    name('user-friendly-name'),
    name('model-name') ?? device.modelNumber,
    device.manufacturer,
    device.serialNumber ? `serial ${device.serialNumber}` : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(', ');
}
