import { preferLenient } from '../fhir-request.ts';
import { parseSystemQuery } from '../search/parse-query.ts';
import type { Interaction } from './interaction.ts';
import { answerSearch, searchParametersIn } from './search-request.ts';

/** R4 http.html#search: `GET [base]?_type=Patient,Observation&…` and `POST [base]/_search`: every parameter must be one of all types searched. */
export const searchSystem: Interaction = async (request, server) => {
  const parameters = searchParametersIn(request);
  const query = parseSystemQuery(parameters, { lenient: preferLenient(request) });
  return { status: 200, body: await answerSearch(request, server, { path: '', parameters, query }) };
};
