import type { Attachment, DiagnosticReport } from '@medplum/fhirtypes';

type Said = Pick<DiagnosticReport, 'status' | 'conclusion' | 'presentedForm'>;

/**
 * What a final report says with its addendum. Some send the whole report again with the addendum in it, others the addendum alone: where the text before is not in the new one,
 * it stays and the new one stands below it.
 */
export function addToReport(known: Said, addendum: Said): Said {
  const conclusion = joined(known.conclusion, addendum.conclusion);
  const [text, more] = [known, addendum].map((one) => one.presentedForm?.find(isText));
  const whole = joined(textIn(text), textIn(more));
  const others = [known, addendum].flatMap((one) => one.presentedForm?.filter((form) => !isText(form)) ?? []);
  const forms: Attachment[] = [
    ...(whole ? [{ ...(more ?? text), data: Buffer.from(whole).toString('base64') }] : []),
    ...others.filter((form, at) => others.findIndex((one) => isSame(one, form)) === at),
  ];
  return {
    status: 'appended',
    ...(conclusion ? { conclusion } : {}),
    ...(forms.length > 0 ? { presentedForm: forms } : {}),
  };
}

function joined(before: string | undefined, now: string | undefined): string | undefined {
  if (!before || !now) return now || before;
  if (oneLine(now).includes(oneLine(before))) return now;
  return oneLine(before).includes(oneLine(now)) ? before : `${before}\n${now}`;
}

/** Lines may be broken otherwise the second time. */
const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();

const isText = ({ contentType }: Attachment): boolean => contentType?.startsWith('text/plain') === true;

const textIn = (form: Attachment | undefined): string =>
  form?.data === undefined ? '' : Buffer.from(form.data, 'base64').toString('utf8');

const isSame = (one: Attachment, other: Attachment): boolean =>
  one.contentType === other.contentType && one.data === other.data && one.url === other.url;
