import type { Attachment } from '@medplum/fhirtypes';
import type { Field, Repetition, Row } from '../../hl7/codec.ts';
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
  const add = (type: string, code: Field, value: Field): Row =>
    obx({ type, code, value, status: status.observation }, input);
  const attached = (report.presentedForm ?? []).flatMap((form): Row[] => {
    const spelling = spellingOf(form, input);
    const isPicture = form.contentType?.startsWith('image/') === true;
    const code = isPicture ? PICTURE : REPORT;
    const isTaken = form.data !== undefined && spelling !== null;
    if (form.data !== undefined && spelling !== null) {
      const value = [profile.sendingApplication, ...spelling, 'Base64', form.data];
      if (value.join('^').length <= profile.edCharactersMax) return [add('ED', code, value)];
    }
    if (form.data === undefined && form.url === undefined) return [];
    if (/^text\/plain\b/.test(form.contentType ?? '')) return [];
    const link = linkOf(form.url ?? (isPicture ? '' : fill(profile.reportUrl, input)));
    if (profile.links === 'RP' && link !== null)
      return [add('RP', code, pointer(link, form.contentType, input))];
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

const REPORT: Repetition = ['11528-7', 'Radiology Report', 'LN'];
const PICTURE: Repetition = ['key-image', 'Key image', '99PRELIM'];
const VIEWER: Repetition = ['viewer', 'Images and overlay', '99PRELIM'];

/** ED-2 and ED-3 as the profile spells them; null where the receiver takes no such thing. */
function spellingOf({ contentType = '' }: Attachment, { profile }: OruInput): string[] | null {
  if (contentType === 'application/pdf') return profile.pdf === 'none' ? null : profile.pdf.split('^');
  if (!contentType.startsWith('image/') || profile.pictures === 'none') return null;
  return [profile.pictures, contentType.slice('image/'.length).toUpperCase()];
}

/** A link that every receiver reads as it is: a `&` would have to be escaped, and many do not take that back. */
const linkOf = (url: string): string | null => (/^https?:\/\/[^?&#\s|^~\\]+$/.test(url) ? url : null);

function fill(template: string, input: OruInput): string {
  if (template === '') return '';
  const { accession, studyUid } = studyNumbers(input);
  const values: Record<string, string> = { accession, studyUid, reportId: input.report.id ?? '' };
  return template.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(values[name] ?? ''));
}

/** RP: pointer, application, type and subtype of what lies there. */
function pointer(url: string, contentType: string | undefined, { profile }: OruInput): Field {
  const [type = 'application', subtype = 'octet-stream'] = (contentType ?? '').split('/');
  return [url, profile.sendingApplication, type, subtype.toUpperCase() === 'PDF' ? 'PDF' : subtype];
}
