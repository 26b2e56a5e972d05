import { buildDefinitions } from '../src/fhir/definitions/build-definitions.ts';
import { builtFolder } from '../src/fhir/definitions/definition-files.ts';
import { buildPublished, builtPublishedFolder } from '../src/terminology/published/published-files.ts';

/** Part of `npm run build`: makes `dist/definitions`, what the server reads at start in place of 50 MB of definitions. */
buildDefinitions(builtFolder());

// The value sets, code systems and concept maps of R4, each to be read alone.
buildPublished(builtPublishedFolder());
