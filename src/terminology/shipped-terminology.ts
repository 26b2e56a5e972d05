import type { CodeSystem, ConceptMap } from '@medplum/fhirtypes';
import finding from '../../terminology/CodeSystem-finding.json' with { type: 'json' };
import refusal from '../../terminology/CodeSystem-refusal.json' with { type: 'json' };
import toDcm from '../../terminology/ConceptMap-finding-to-dcm.json' with { type: 'json' };
import toRadLex from '../../terminology/ConceptMap-finding-to-radlex.json' with { type: 'json' };
import toSct from '../../terminology/ConceptMap-finding-to-sct.json' with { type: 'json' };
import toSctLicensed from '../../terminology/licensed/ConceptMap-finding-to-sct-licensed.json' with {
  type: 'json',
};

/** `licensed`: the site holds a SNOMED CT affiliate licence, so rows outside the Global Patient Set may be used. */
export interface TerminologyOptions {
  readonly licensed?: boolean;
}

/** Id of the map that counts only with a SNOMED CT licence; a store that was once licensed may hold it still. */
export const LICENSED_MAP = 'finding-to-sct-licensed';

/** What is written to the FHIR store at start, each with a fixed id. */
export function terminologyResources(options: TerminologyOptions = {}): readonly (CodeSystem | ConceptMap)[] {
  return [finding as CodeSystem, refusal as CodeSystem, ...shippedConceptMaps(options)];
}

export function shippedConceptMaps({ licensed = false }: TerminologyOptions = {}): readonly ConceptMap[] {
  const free = [toSct, toRadLex, toDcm] as ConceptMap[];
  return licensed ? [...free, toSctLicensed as ConceptMap] : free;
}
