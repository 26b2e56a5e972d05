import type { DicomJson } from '../../dicom/study-source.ts';
import type { Manifest } from '../../governance/manifest.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';
import { type GateContext, NO_CONTEXT } from './gate-rule.ts';
import { RULES } from './rules/all.ts';

export interface Judgement {
  /** In the order of the rules; empty when the images fit. */
  readonly refusals: readonly GateVerdict[];
  readonly warnings: readonly GateVerdict[];
}

/** Every rule's verdict on the images that would be handed to the model; rules in `warn_only` only warn. */
export function judgeImages(
  images: readonly DicomJson[],
  manifest: Manifest,
  context: GateContext = NO_CONTEXT,
): Judgement {
  const refusals: GateVerdict[] = [];
  const warnings: GateVerdict[] = [];
  for (const rule of RULES) {
    const verdict = rule(images, manifest.fits, context);
    if (verdict === null) continue;
    const { level, ...plain } = verdict;
    const warns = level === 'warn' || manifest.warn_only?.includes(verdict.rule);
    (warns ? warnings : refusals).push(plain);
  }
  return { refusals, warnings };
}
