import type { Coding, ImagingStudy } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { type OrderMatch, UNMATCHED_REASONS } from './match-order.ts';

type Study = ImagingStudy & { id: string };

const UNMATCHED = 'unmatched';

/** What the server found anew, with what it or a person had put on the study before: order, patient, tags of others. */
export function withEarlier(found: ImagingStudy, kept: ImagingStudy): ImagingStudy {
  const { tag, ...meta } = kept.meta ?? {};
  return {
    ...found,
    ...(meta.security || tag
      ? { meta: { ...(meta.security ? { security: meta.security } : {}), ...(tag ? { tag } : {}) } }
      : {}),
    subject: kept.subject,
    ...(kept.encounter ? { encounter: kept.encounter } : {}),
    ...(kept.basedOn ? { basedOn: kept.basedOn } : {}),
    ...(kept.note ? { note: kept.note } : {}),
  };
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
