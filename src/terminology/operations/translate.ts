import type { Coding, ConceptMap, Parameters, ParametersParameter } from '@medplum/fhirtypes';
import { badParameter } from '../../fhir/at-parameter.ts';
import type { OperationRequest } from '../../fhir/operation-registry.ts';
import { Failure } from '../../kernel/errors.ts';
import type { TerminologySources } from '../terminology-sources.ts';
import { askedCodings } from './asked-codings.ts';
import { matchesIn, type TranslationMatch } from './match-in-map.ts';
import { OperationParameters, parametersOf } from './operation-parameters.ts';

export const KNOWN = [
  'url',
  'conceptMap',
  'conceptMapVersion',
  'code',
  'system',
  'version',
  'source',
  'coding',
  'codeableConcept',
  'target',
  'targetsystem',
  'reverse',
] as const;

/** A map sends unmapped codes to another map, which may do so again. */
export const OTHER_MAPS_MAX = 5;

/** Matches that say the code has no counterpart. */
const NONE: ReadonlySet<string> = new Set(['unmatched', 'disjoint']);

/**
 * R4 conceptmap-operation-translate.html. With `url`, `conceptMap` or on an instance that map is asked, else every active map that translates
 * from the system (with `reverse`: to it). `result` is true when a match has a code.
 */
export async function translate(
  request: OperationRequest,
  sources: TerminologySources,
  counts: (map: ConceptMap) => boolean,
): Promise<Parameters> {
  const parameters = new OperationParameters(request);
  const codings = askedCodings(parameters);
  if (codings.some(({ system }) => !system)) throw badParameter('system', 'Give the system of the code.');
  const reverse = parameters.flag('reverse') ?? false;
  const limits = { targetSystem: parameters.text('targetsystem'), reverse };
  const matches: TranslationMatch[] = [];
  for (const coding of codings) {
    for (const map of await mapsFor(coding, parameters, request, sources)) {
      if (!counts(map) || !inScope(map, parameters, reverse)) continue;
      matches.push(...(await inMap(map, coding, limits, request, sources)));
    }
  }
  return answer(matches);
}

async function mapsFor(
  coding: Coding,
  parameters: OperationParameters,
  { id, access }: OperationRequest,
  sources: TerminologySources,
): Promise<readonly ConceptMap[]> {
  const inline = parameters.resource<ConceptMap>('conceptMap', 'ConceptMap');
  if (inline) return [inline];
  const [url, version] = [parameters.text('url'), parameters.text('conceptMapVersion')];
  if (!id && url === undefined) {
    const side = parameters.flag('reverse') ? 'target-system' : 'source-system';
    return sources.conceptMaps(side, coding.system ?? '', access);
  }
  const map = id
    ? await sources.conceptMapById(id, access)
    : await sources.conceptMap(version ? `${url}|${version}` : (url ?? ''), access);
  if (!map) throw new Failure('terminology.unknown', 'The concept map is not here, or not in this version.');
  return [map];
}

/** `source` and `target` name value sets; a map that names none may be of any. */
function inScope(map: ConceptMap, parameters: OperationParameters, reverse: boolean): boolean {
  const own = { source: map.sourceUri ?? map.sourceCanonical, target: map.targetUri ?? map.targetCanonical };
  const [from, to] = reverse ? [own.target, own.source] : [own.source, own.target];
  const fits = (asked: string | undefined, is: string | undefined) =>
    asked === undefined || is === undefined || asked.split('|')[0] === is.split('|')[0];
  return fits(parameters.text('source'), from) && fits(parameters.text('target'), to);
}

/** The matches of one map; where it sends what it does not know to another map, those. */
async function inMap(
  start: ConceptMap,
  coding: Coding,
  limits: { targetSystem: string | undefined; reverse: boolean },
  { access }: OperationRequest,
  sources: TerminologySources,
): Promise<readonly TranslationMatch[]> {
  let map = start;
  for (let step = 0; step < OTHER_MAPS_MAX; step++) {
    const { matches, otherMap } = matchesIn(map, coding, limits);
    if (matches.length > 0 || otherMap === null) return matches;
    const next = await sources.conceptMap(otherMap, access);
    if (!next)
      throw new Failure('terminology.unknown', 'The map sends this code to another map, which is not here.');
    map = next;
  }
  throw new Failure('fhir.invalid', `The map sends this code on more than ${OTHER_MAPS_MAX} times.`);
}

function answer(matches: readonly TranslationMatch[]): Parameters {
  const good = matches.some(({ equivalence, code }) => code !== undefined && !NONE.has(equivalence));
  return parametersOf(
    { name: 'result', valueBoolean: good },
    good ? null : { name: 'message', valueString: messageFor(matches) },
    ...matches.map(toMatch),
  );
}

const messageFor = (matches: readonly TranslationMatch[]): string =>
  matches.length === 0 ? 'No map here has this code.' : 'The maps say that this code has no counterpart.';

function toMatch({
  equivalence,
  system,
  code,
  display,
  map,
  product,
}: TranslationMatch): ParametersParameter {
  const concept = {
    ...(system ? { system } : {}),
    ...(code === undefined ? {} : { code }),
    ...(display ? { display } : {}),
  };
  return {
    name: 'match',
    part: [
      { name: 'equivalence', valueCode: equivalence },
      ...(code === undefined ? [] : [{ name: 'concept', valueCoding: concept }]),
      ...product.map(({ property, system: of, value }) => ({
        name: 'product',
        part: [
          { name: 'element', valueUri: property ?? '' },
          { name: 'concept', valueCoding: { ...(of ? { system: of } : {}), code: value ?? '' } },
        ],
      })),
      ...(map ? [{ name: 'source', valueUri: map }] : []),
    ],
  };
}
