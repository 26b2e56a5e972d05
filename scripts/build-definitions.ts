import { buildDefinitions } from '../src/fhir/definitions/build-definitions.ts';
import { builtFolder } from '../src/fhir/definitions/definition-files.ts';

/** Part of `npm run build`: makes `dist/definitions`, what the server reads at start in place of 50 MB of definitions. */
buildDefinitions(builtFolder());
