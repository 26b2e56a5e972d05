import { preferLenient } from '../fhir-request.ts';
import { parseQuery } from '../search/parse-query.ts';
import { type Interaction, typeOf } from './interaction.ts';
import { answerSearch, searchParametersIn } from './search-request.ts';

/** R4 http.html#search: `GET [base]/[type]?…` and `POST [base]/[type]/_search` with the same parameters as a form. */
export const searchType: Interaction = async (request, server) => {
  const type = typeOf(request);
  const parameters = searchParametersIn(request);
  const query = parseQuery(type, parameters, { lenient: preferLenient(request) });
  return { status: 200, body: await answerSearch(request, server, { path: type, parameters, query }) };
};
