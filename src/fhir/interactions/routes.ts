import { Failure } from '../../kernel/errors.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { bundle } from './bundle.ts';
import { capabilities } from './capabilities.ts';
import { create } from './create.ts';
import { deleteResource } from './delete.ts';
import { historyInstance } from './history-instance.ts';
import type { FhirServer, Interaction } from './interaction.ts';
import { operation } from './operation.ts';
import { read } from './read.ts';
import { searchType } from './search-type.ts';
import { update } from './update.ts';
import { vread } from './vread.ts';

/** R4 http.html#summary. `:type` and `:id` stand for any segment that does not begin with `_` or `$`. The first that fits is taken. */
const ROUTES: readonly (readonly [method: string, path: string, run: Interaction])[] = [
  ['GET', 'metadata', capabilities],
  ['GET', '$', operation],
  ['POST', '$', operation],
  ['GET', ':type/$', operation],
  ['POST', ':type/$', operation],
  ['GET', ':type/:id/$', operation],
  ['POST', ':type/:id/$', operation],
  ['GET', ':type', searchType],
  ['POST', ':type/_search', searchType],
  ['POST', ':type', create],
  ['GET', ':type/:id', read],
  ['PUT', ':type/:id', update],
  ['DELETE', ':type/:id', deleteResource],
  ['GET', ':type/:id/_history', historyInstance],
  ['GET', ':type/:id/_history/:vid', vread],
  ['POST', '', bundle],
];

const SPLIT = ROUTES.map(([method, path, run]) => ({
  method,
  segments: path === '' ? [] : path.split('/'),
  run,
}));

/** Runs the interaction that the request asks for. Throws `fhir.not-found` when it asks for none. */
export async function runInteraction(request: FhirRequest, server: FhirServer): Promise<FhirAnswer> {
  // HEAD is GET without its body (R4 http.html#read); the door drops the body.
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const fits = SPLIT.filter(({ segments }) => pathFits(segments, request.path));
  const route = fits.find((one) => one.method === method);
  if (route) return route.run(request, server);
  if (fits.length > 0) {
    return {
      status: 405,
      headers: { allow: [...new Set(fits.map((one) => one.method))].join(', ') },
      body: NOT_HERE,
    };
  }
  throw new Failure('fhir.not-found', 'There is no such interaction; see /metadata.');
}

const NOT_HERE = JSON.stringify({
  resourceType: 'OperationOutcome',
  issue: [
    { severity: 'error', code: 'not-supported', details: { text: 'This URL does not take this method.' } },
  ],
});

function pathFits(segments: readonly string[], path: readonly string[]): boolean {
  return (
    segments.length === path.length && segments.every((segment, at) => segmentFits(segment, path[at] ?? ''))
  );
}

function segmentFits(segment: string, given: string): boolean {
  if (segment === '$') return given.startsWith('$');
  if (segment.startsWith(':')) return given !== '' && !given.startsWith('$') && !given.startsWith('_');
  return segment === given;
}
