import type { GeometryFindingCode } from '../../../dicom/describe-volume.ts';
import { type GateRule, refuse, warn } from '../gate-rule.ts';
import { geometryFindings } from '../stack.ts';

/**
 * What the geometry of a series says beyond the rules that have fields of their own (`gaps`, `duplicates`, `tilt`, `orientation`): slices of
 * several frames of reference or pixel spacings make no volume; several points in time and PET values need somebody to know. Single images pass.
 */
export const geometry: GateRule = (images) => {
  if (images.length < 2) return null;
  const findings = geometryFindings(images);
  const of = (codes: Readonly<Partial<Record<GeometryFindingCode, string>>>) =>
    findings.find(({ code }) => Object.hasOwn(codes, code));
  const refused = of(REFUSED);
  if (refused) return refuse('geometry', refused.observed, REFUSED[refused.code] ?? '');
  const warned = of(WARNED);
  return warned ? warn('geometry', warned.observed, WARNED[warned.code] ?? '') : null;
};

const REFUSED: Readonly<Partial<Record<GeometryFindingCode, string>>> = {
  'mixed-frame-of-reference': 'one frame of reference',
  'mixed-pixel-spacing': 'one pixel spacing',
};

const WARNED: Readonly<Partial<Record<GeometryFindingCode, string>>> = {
  'several-time-points': 'one point in time',
  'suv-not-computed': 'a model of stored values',
};
