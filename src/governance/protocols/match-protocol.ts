import { jsonItems, jsonString } from '../../dicom/json-values.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { ageAtStudy } from '../age-at-study.ts';
import { regionsInText, regionsOf, regionsOfCode } from '../body-parts.ts';
import { contrastOf } from '../contrast.ts';
import type { ImagingProtocol, ProtocolScope } from './protocol.ts';

/**
 * The protocol that is meant for a series: of the active ones whose scope it meets, the one that says most about its scope; then the first
 * by id. Null when none is meant for it.
 */
export function matchProtocol(
  images: readonly DicomJson[],
  protocols: readonly ImagingProtocol[],
): ImagingProtocol | null {
  const [image] = images;
  if (image === undefined) return null;
  const fitting = protocols.filter(({ status, applies }) => status === 'active' && meets(image, applies));
  fitting.sort((a, b) => narrowness(b) - narrowness(a) || (a.id < b.id ? -1 : 1));
  return fitting[0] ?? null;
}

const narrowness = ({ applies }: ImagingProtocol) => Object.keys(applies).length;

function meets(image: DicomJson, scope: ProtocolScope): boolean {
  return (
    scope.modality.includes(jsonString(image, '00080060') ?? '') &&
    (scope.body_part === undefined || showsOneOf(image, scope.body_part)) &&
    (scope.view === undefined || scope.view.includes(jsonString(image, '00185101') ?? '')) &&
    (scope.contrast === undefined || (contrastOf(image) ?? 'none') === scope.contrast) &&
    (scope.age_years === undefined || isAged(image, scope.age_years)) &&
    (scope.words === undefined || names(image, scope.words))
  );
}

/** By tag and code; only where both are silent by the series description, then by the study's. */
function showsOneOf(image: DicomJson, parts: readonly string[]): boolean {
  const wanted = new Set(parts.flatMap((part) => [...regionsOf(part), part.toUpperCase()]));
  const tag = jsonString(image, '00180015') ?? '';
  const codes = jsonItems(image, '00082218').map((item) => jsonString(item, '00080100') ?? '');
  const sources = [
    [tag.toUpperCase(), ...regionsOf(tag), ...codes.flatMap((code) => [...regionsOfCode(code)])].filter(
      (region) => region !== '',
    ),
    [...regionsInText(jsonString(image, '0008103E') ?? '')],
    [...regionsInText(jsonString(image, '00081030') ?? '')],
  ];
  const stated = sources.find((regions) => regions.length > 0) ?? [];
  return stated.some((region) => wanted.has(region));
}

function isAged(image: DicomJson, { min = 0, max = Infinity }: { min?: number; max?: number }): boolean {
  const years = ageAtStudy(image, null);
  return years !== null && years >= min && years <= max;
}

function names(image: DicomJson, words: readonly string[]): boolean {
  const text = ['00181030', '0008103E', '00081030']
    .map((tag) => jsonString(image, tag) ?? '')
    .join(' ')
    .toUpperCase();
  return words.some((word) => text.includes(word.toUpperCase()));
}
