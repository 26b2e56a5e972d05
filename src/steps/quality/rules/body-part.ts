import { jsonItems, jsonString } from '../../../dicom/json-values.ts';
import type { DicomJson } from '../../../dicom/study-source.ts';
import { regionsInText, regionsOf, regionsOfCode } from '../../../governance/body-parts.ts';
import { type GateRule, missing, refuse, warn } from '../gate-rule.ts';

/**
 * The body part by BodyPartExamined (0018,0015) or AnatomicRegionSequence (0008,2218), and the descriptions as a second
 * witness, since the tag is often a default of the device. A series description that names only other regions refuses; a
 * study description that does so warns when the tag fits (a study may cover more than its name says) and refuses when there is
 * no tag.
 */
export const bodyPart: GateRule = ([image], fits) => {
  if (fits.body_part === undefined || image === undefined) return null;
  const required = fits.body_part.join(' or ');
  const wanted = new Set(fits.body_part.flatMap(wantedRegions));
  const stated = statedRegions(image, wanted);
  const series = stance(jsonString(image, '0008103E'), wanted);
  const study = stance(jsonString(image, '00081030'), wanted);
  if (stated.regions.size > 0 && !meets(stated.regions, wanted)) {
    return refuse('body-part', nameOf(stated.regions), required);
  }
  if (series.says === 'other') {
    return refuse('body-part', `${nameOf(series.regions)} by the series description`, required);
  }
  if (stated.regions.size > 0) {
    if (study.says !== 'other') return null;
    return warn('body-part', `${nameOf(study.regions)} by the study description`, required);
  }
  if (study.says === 'other' && series.says === 'nothing') {
    return refuse('body-part', `${nameOf(study.regions)} by the study description`, required);
  }
  return missing(fits, 'body-part', stated.given ? 'an unknown body part' : 'no body part', required);
};

/** A part that is in no list stands for itself, so that a manifest may name what our table does not. */
function wantedRegions(part: string): readonly string[] {
  const regions = [...regionsOf(part)];
  return regions.length > 0 ? regions : [part.toUpperCase()];
}

function statedRegions(
  image: DicomJson,
  wanted: ReadonlySet<string>,
): { given: boolean; regions: ReadonlySet<string> } {
  const tag = jsonString(image, '00180015');
  const itself = tag !== null && wanted.has(tag.toUpperCase()) ? [tag.toUpperCase()] : [];
  const codes = jsonItems(image, '00082218').map((item) => jsonString(item, '00080100') ?? '');
  const regions = new Set([
    ...itself,
    ...(tag === null ? [] : regionsOf(tag)),
    ...codes.flatMap((code) => [...regionsOfCode(code)]),
  ]);
  return { given: tag !== null || codes.length > 0, regions };
}

interface Stance {
  readonly says: 'nothing' | 'ours' | 'other';
  readonly regions: ReadonlySet<string>;
}

function stance(text: string | null, wanted: ReadonlySet<string>): Stance {
  const regions = text === null ? new Set<string>() : regionsInText(text);
  if (regions.size === 0) return { says: 'nothing', regions };
  return { says: meets(regions, wanted) ? 'ours' : 'other', regions };
}

const meets = (regions: ReadonlySet<string>, wanted: ReadonlySet<string>) =>
  [...regions].some((region) => wanted.has(region));

const nameOf = (regions: ReadonlySet<string>) =>
  [...regions].join(' and ').replaceAll('_', ' ').toLowerCase();
