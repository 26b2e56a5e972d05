import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Module } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { inspectApart } from './inspect-apart.ts';
import { INSPECT_MODEL, type InspectModel } from './inspect-model.ts';
import { ModelRegister } from './model-register.ts';
import { ModelReleaseStore } from './model-release.store.ts';
import { ModelStates } from './model-states.ts';

/** The models this process may run: those of the project, those added by `npm run model -- add`, and those of `PRELIM_MODELS`. */
@Module({
  providers: [
    {
      provide: ModelRegister,
      inject: [SETTINGS, { token: INSPECT_MODEL, optional: true }],
      useFactory: (settings: Settings, inspect: InspectModel = inspectApart) =>
        ModelRegister.read(
          {
            own: [join(projectFolder(), 'models'), join(settings.PRELIM_DATA, 'models')],
            required: settings.PRELIM_MODELS,
          },
          inspect,
        ),
    },
    ModelReleaseStore,
    ModelStates,
  ],
  exports: [ModelRegister, ModelStates],
})
export class GovernanceModule {}

/** The folder with package.json above this file, whether it runs from `src` or from a build of it. */
function projectFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
