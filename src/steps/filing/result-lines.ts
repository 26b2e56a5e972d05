import type { Attachment } from '@medplum/fhirtypes';
import type { Hl7Repetition, Hl7Segment } from '../../hl7/codec.ts';
import { withoutControls } from '../../hl7/control-characters.ts';
import { cweToConcept, plain } from './datatype-to-fhir.ts';
import { CODED_TYPES, lineText } from './obx-to-observation.ts';

/** An OBX with what several look for in it, read once: a report may have 200,000. */
export interface ResultLine {
  readonly obx: Hl7Segment;
  /** OBX-2. */
  readonly type: string;
  /** OBX-11. */
  readonly status: string;
  readonly isGone: boolean;
  readonly isImpression: boolean;
  /** ''. */
  readonly studyUid: string;
  /** OBX-5 of a line of text; ''. */
  readonly text: string;
}

export function readLine(obx: Hl7Segment): ResultLine {
  const [type, status] = [plain(obx.get(2)).toUpperCase(), plain(obx.get(11)).toUpperCase()];
  const isGone = GONE.has(status);
  const studyUid = studyUidOf(obx);
  const isText = TEXT_TYPES.has(type) && !isGone && studyUid === '';
  return {
    obx,
    type,
    status,
    isGone,
    isImpression: isImpression(obx),
    studyUid,
    text: isText ? narrativeOf(obx) : '',
  };
}

/** Types of narrative; '' for an OBX without OBX-2. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['TX', 'FT', 'ST', 'IS', 'ID', '']);
/** UIDs of series and objects, which the images say better (IHE RAD-28). */
const UID_TYPES: ReadonlySet<string> = new Set(['HD', 'UI']);
const GONE: ReadonlySet<string> = new Set(['D', 'W', 'X']);

/** OBX of a Study Instance UID: 113014 of DICOM, as ST, or as HD with the UID in the second component. */
function studyUidOf(obx: Hl7Segment): string {
  const isStudy = plain(obx.get(3)) === '113014' || /^study instance uid$/i.test(plain(obx.text(3, 2)));
  if (!isStudy) return '';
  return [plain(obx.get(5)), plain(obx.get(5, 2))].find((one) => UID.test(one)) ?? '';
}

/** A coded result as a line of the narrative: `Size: 6.2 mm`. */
export function lineAsText(line: ResultLine): ResultLine {
  return CODED_TYPES.has(line.type) ? { ...line, type: 'TX', text: lineText(line.obx) } : line;
}

const narrativeOf = (obx: Hl7Segment) => obx.repetitions(5).map(wholeText).join('\n');

/** Text has no components: a `^` in it that its sender did not escape is a letter, and what follows is not lost. Control characters are left out. */
const wholeText = (one: Hl7Repetition) => withoutControls(one.wholeText()).replace(/\\\.br\\/gi, '\n');

/** LOINC 19005-8, or the suffix IMP of chapter 7. */
const isImpression = (obx: Hl7Segment) =>
  plain(obx.get(3)) === '19005-8' ||
  plain(obx.get(3, 1, 2)) === 'IMP' ||
  /impression|conclusion/i.test(plain(obx.text(3, 2)));

export function textOf(lines: readonly ResultLine[]): string {
  return lines
    .flatMap(({ text, type, isGone, studyUid }) =>
      TEXT_TYPES.has(type) && !isGone && studyUid === '' ? [text] : [],
    )
    .join('\n')
    .trim();
}

/** The whole narrative as text; PDF as it came; links. */
export function formsOf(lines: readonly ResultLine[], rest: readonly Hl7Segment[]): Attachment[] {
  const notes = rest.filter(({ name }) => name === 'NTE').flatMap((nte) => nte.repetitions(3).map(wholeText));
  const text = [textOf(lines), ...notes].filter((one) => one.trim() !== '').join('\n');
  const forms: Attachment[] = text
    ? [{ contentType: 'text/plain; charset=utf-8', data: Buffer.from(text).toString('base64') }]
    : [];
  for (const { obx, type } of lines.filter((one) => !one.isGone && FORM_TYPES.has(one.type))) {
    const title = plain(obx.text(3, 2));
    const named = title ? { title } : {};
    if (type === 'ED' && hasDocument(obx)) {
      const contentType = contentTypeOf(plain(obx.get(5, 2)), plain(obx.get(5, 3)));
      forms.push({ ...named, contentType, data: plain(obx.get(5, 5)) });
    }
    if (type === 'RP' && hasLink(obx)) forms.push({ ...named, url: plain(obx.get(5)) });
  }
  return forms;
}

const hasDocument = (obx: Hl7Segment) =>
  plain(obx.get(5, 4)).toLowerCase() === 'base64' && BASE64.test(plain(obx.get(5, 5)));

const hasLink = (obx: Hl7Segment) => /^https?:\/\/\S+$/i.test(plain(obx.get(5)));

/** A line with content that is neither text, a result, a document in Base64 nor a link over HTTP: somebody should know. */
export function isLeftOut({ obx, type, isGone, studyUid }: ResultLine): boolean {
  if (isGone || studyUid !== '' || UID_TYPES.has(type) || TEXT_TYPES.has(type)) return false;
  const isEmpty = obx.repetitions(5).every((one) => plain(one.wholeText()) === '');
  if (isEmpty) return false;
  if (CODED_TYPES.has(type)) return cweToConcept(obx.repetitions(3)[0]) === null;
  return !(type === 'ED' && hasDocument(obx)) && !(type === 'RP' && hasLink(obx));
}

const FORM_TYPES: ReadonlySet<string> = new Set(['ED', 'RP']);

/** ED-2 and ED-3: `Application^PDF`, `application^pdf`, `IM^JPEG`. */
function contentTypeOf(type: string, subtype: string): string {
  const main = {
    AP: 'application',
    APPLICATION: 'application',
    IM: 'image',
    IMAGE: 'image',
    TEXT: 'text',
    TX: 'text',
  };
  const known = main[type.toUpperCase() as keyof typeof main] ?? 'application';
  return subtype ? `${known}/${subtype.toLowerCase()}` : 'application/octet-stream';
}

const UID = /^(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/;
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;
