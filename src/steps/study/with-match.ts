import type { Coding, ImagingStudy } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { type OrderMatch, UNMATCHED_REASONS } from './match-order.ts';

type Study = ImagingStudy & { id: string };

const UNMATCHED = 'unmatched';

/** Is it known whose it is? */
export const hasSubject = (study: ImagingStudy | null): boolean =>
  study !== null && Object.keys(study.subject).length > 0;

/** What the server found anew, with what it or a person had put on the study before: order, patient, tags of others. */
export function withEarlier(found: ImagingStudy, kept: ImagingStudy): ImagingStudy {
  const { tag, ...meta } = kept.meta ?? {};
  return {
    ...found,
    ...(meta.security || tag
      ? { meta: { ...(meta.security ? { security: meta.security } : {}), ...(tag ? { tag } : {}) } }
      : {}),
    subject: hasSubject(kept) ? kept.subject : found.subject,
    ...(kept.encounter ? { encounter: kept.encounter } : {}),
    ...(kept.basedOn ? { basedOn: kept.basedOn } : {}),
    ...(kept.note ? { note: kept.note } : {}),
  };
}

/**
 * What is kept of a study whose patient or number was corrected in the PACS: the link to an order was made by what the images said before, so it is made
 * anew; the patient stays where the images still are of that patient.
 */
export function withoutLink(kept: ImagingStudy, sameSubject: boolean): ImagingStudy {
  const { basedOn: _order, encounter: _visit, ...rest } = kept;
  return sameSubject ? rest : { ...rest, subject: {} };
}

/**
 * The study with its order and the order's patient; or marked as unmatched, with the reason as a tag and as a note. A link that is
 * there already stays: a person may have made it.
 */
export function withMatch(study: ImagingStudy, match: OrderMatch): Study {
  const linked = study.basedOn !== undefined || match.kind === 'matched';
  const tags = (study.meta?.tag ?? []).filter((tag) => !isOurs(tag));
  const notes = (study.note ?? []).filter((note) => !SENTENCES.has(note.text));
  if (!linked && match.kind === 'unmatched') {
    tags.push({ system: CODE_SYSTEMS.subscriptionTag, code: UNMATCHED, display: 'No order found' });
    tags.push({ system: CODE_SYSTEMS.subscriptionTag, code: `${UNMATCHED}-${match.reason}` });
    notes.push({ text: UNMATCHED_REASONS[match.reason] });
  }
  const { meta, note: _note, ...rest } = study;
  const { tag: _tag, ...otherMeta } = meta ?? {};
  const newMeta = { ...otherMeta, ...(tags.length > 0 ? { tag: tags } : {}) };
  return {
    ...rest,
    id: String(study.id),
    ...(Object.keys(newMeta).length > 0 ? { meta: newMeta } : {}),
    ...(notes.length > 0 ? { note: notes } : {}),
    ...(match.kind === 'matched' && study.basedOn === undefined ? linkOf(match) : {}),
  };
}

function linkOf({
  order,
  patient,
}: Extract<OrderMatch, { kind: 'matched' }>): Pick<ImagingStudy, 'basedOn' | 'subject' | 'encounter'> {
  return {
    basedOn: [{ reference: `ServiceRequest/${order.id}` }],
    subject: { reference: `Patient/${patient.id}` },
    ...(order.encounter ? { encounter: order.encounter } : {}),
  };
}

function isOurs(tag: Coding): boolean {
  return (
    tag.system === CODE_SYSTEMS.subscriptionTag &&
    (tag.code === UNMATCHED || tag.code?.startsWith(`${UNMATCHED}-`) === true)
  );
}

const SENTENCES: ReadonlySet<string | undefined> = new Set(Object.values(UNMATCHED_REASONS));
