import type { Attachment } from '@medplum/fhirtypes';
import type { Field, Repetition, Row } from '../../hl7/codec.ts';
import { filled, placeholdersOf } from './field-templates.ts';
import { studyNumbers } from './head-rows.ts';
import { obx } from './obx-row.ts';
import type { OruInput } from './oru-input.ts';
import type { ReportStatus } from './report-status.ts';

/**
 * PDF and pictures of the report as ED, links as RP (chapter 2A). What is larger than the receiver takes becomes a link to the same, and where there is
 * none a line of text says that something is left out: a reader must never take a message for the whole report when it is not.
 */
export function attachmentRows(
  input: OruInput,
  status: ReportStatus,
): { rows: Row[]; leftOut: readonly string[] } {
  const { profile, report } = input;
  const leftOut: string[] = [];
  const counts = new Map<Repetition, number>();
  const add = (type: string, code: Repetition, value: Field): Row => {
    const count = (counts.get(code) ?? 0) + 1;
    counts.set(code, count);
    // Receivers that keep one OBX for each OBX-3 and OBX-4 would keep the last only.
    const sub = count > 1 ? { sub: `1.${count}` } : {};
    return obx({ type, code, value, status: status.observation, ...sub }, input);
  };
  const attached = (report.presentedForm ?? []).flatMap((form): Row[] => {
    const mediaType = mediaTypeOf(form);
    // Written in lines, as MIME does, it would be torn by escapes.
    const data = form.data?.replace(/\s+/g, '');
    const spelling = spellingOf(mediaType, input);
    const isPicture = mediaType.startsWith('image/');
    const code = isPicture ? PICTURE : REPORT;
    const isTaken = data !== undefined && spelling !== null;
    if (data !== undefined && spelling !== null) {
      const value = [profile.sendingApplication, ...spelling, 'Base64', data];
      if (value.join('^').length <= profile.edCharactersMax) return [add('ED', code, value)];
    }
    if (data === undefined && form.url === undefined) return [];
    if (mediaType === 'text/plain') return [];
    const link = linkOf(form.url ?? '') ?? (isPicture ? null : linkOf(fill(profile.reportUrl, input)));
    if (profile.links === 'RP' && link !== null) return [add('RP', code, pointer(link, mediaType, input))];
    const what = isPicture ? 'A picture' : 'A document';
    leftOut.push(`${what} of the report is not in this message.`);
    // A receiver whose profile takes none is not told of it in each message.
    if (!isTaken) return [];
    return [add('TX', code, `[${what} of this report is not in this message: see the report itself.]`)];
  });
  const view = linkOf(fill(profile.viewerUrl, input));
  if (profile.links === 'RP' && view !== null)
    attached.push(add('RP', VIEWER, pointer(view, 'text/html', input)));
  return { rows: attached, leftOut };
}

/** Without parameters, in the case that tables are in. */
const mediaTypeOf = ({ contentType = '' }: Attachment): string =>
  (contentType.split(';')[0] ?? '').trim().toLowerCase();

const REPORT: Repetition = ['11528-7', 'Radiology Report', 'LN'];
const PICTURE: Repetition = ['key-image', 'Key image', '99PRELIM'];
const VIEWER: Repetition = ['viewer', 'Images and overlay', '99PRELIM'];

/** ED-2 and ED-3 as the profile spells them; null where the receiver takes no such thing. */
function spellingOf(mediaType: string, { profile }: OruInput): string[] | null {
  if (mediaType === 'application/pdf') return profile.pdf === 'none' ? null : profile.pdf.split('^');
  if (!mediaType.startsWith('image/') || profile.pictures === 'none') return null;
  return [profile.pictures, mediaType.slice('image/'.length).toUpperCase()];
}

/** A link that every receiver reads as it is: a `&` would have to be escaped, and many do not take that back. */
const linkOf = (url: string): string | null => (/^https?:\/\/[^?&#\s|^~\\]+$/.test(url) ? url : null);

/** '' too where a number that the link is made with is not known: it would lead somewhere else. */
function fill(template: string, input: OruInput): string {
  const { accession, studyUid } = studyNumbers(input);
  const values = new Map(Object.entries({ accession, studyUid, reportId: input.report.id ?? '' }));
  if (placeholdersOf(template).some((name) => !values.get(name))) return '';
  return filled(template, (name) => encodeURIComponent(values.get(name) ?? ''));
}

/** RP: pointer, application, type and subtype of what lies there. */
function pointer(url: string, mediaType: string, { profile }: OruInput): Field {
  const [type = '', subtype = ''] = mediaType.includes('/')
    ? mediaType.split('/')
    : ['application', 'octet-stream'];
  return [url, profile.sendingApplication, type, subtype === 'pdf' ? 'PDF' : subtype];
}
