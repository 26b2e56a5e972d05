import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import { preferLenient } from '../fhir-request.ts';
import { parseQuery, parseSystemQuery } from '../search/parse-query.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';
import { answerSearch, searchParametersIn } from './search-request.ts';

/**
 * R4 http.html#vsearch and compartmentdefinition.html: `GET [base]/Patient/1/Observation?…`, and `GET [base]/Patient/1/*` for all types of the
 * compartment (`_type` narrows them). Which references put a resource into a compartment is what the published CompartmentDefinitions say.
 */
export const searchCompartment: Interaction = async (request, server) => {
  const compartment = typeAndIdOf(request);
  const member = request.path[2] ?? '';
  const members = definitions().compartments.get(compartment.type);
  if (!members || (member !== '*' && !isMember(members.get(member)))) {
    throw new Failure(
      'fhir.not-found',
      'There is no such compartment, or resources of this type are not in it.',
    );
  }
  const parameters = searchParametersIn(request);
  const options = { lenient: preferLenient(request), compartment };
  const query =
    member === '*' ? parseSystemQuery(parameters, options) : parseQuery(member, parameters, options);
  const path = `${compartment.type}/${compartment.id}/${member}`;
  return { status: 200, body: await answerSearch(request, server, { path, parameters, query }) };
};

const isMember = (codes: readonly string[] | undefined): boolean => codes !== undefined && codes.length > 0;
