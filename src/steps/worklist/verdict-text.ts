import type { Annotation, CodeableConcept } from '@medplum/fhirtypes';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { shorten } from './shorten.ts';
import type { RowVerdict } from './worklist-row.ts';

/** `body-part: observed KNEE; required CHEST`, in the wordings a verdict is written in. */
const VERDICT =
  /^(?:([a-z0-9]+(?:[-_][a-z0-9]+)*)\s*:\s*)?observed:?\s+(.*?)\s*[.;,]\s*required:?\s+(.*?)\.?$/i;

/** Task.statusReason → why the gate refused: one verdict per rule, or one for the sentence that is there. */
export function statusReasonToVerdicts(reason: CodeableConcept | undefined): RowVerdict[] {
  const codes = (reason?.coding ?? []).filter((coding) => coding.system === CODE_SYSTEMS.refusal);
  const lines = (reason?.text ?? '').split('\n').filter((line) => line.trim() !== '');
  if (codes.length === 0 && lines.length === 0) return [];
  return Array.from({ length: Math.max(codes.length, lines.length) }, (_, i) => {
    const coding = codes[i];
    const verdict = sentenceToVerdict(lines[i] ?? coding?.display ?? '');
    return { ...verdict, rule: shorten(coding?.code) ?? verdict.rule };
  });
}

/** One note of a Task → the warning in it. */
export const noteToVerdict = (note: Annotation): RowVerdict => sentenceToVerdict(note.text ?? '');

function sentenceToVerdict(sentence: string): RowVerdict {
  const text = shorten(sentence) ?? '';
  const [, rule, observed, required] = VERDICT.exec(text) ?? [];
  return { rule: rule ?? null, observed: observed ?? null, required: required ?? null, text };
}
