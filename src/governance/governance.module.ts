import { join } from 'node:path';
import { Module } from '@nestjs/common';
import { folderWith } from '../config/folder-with.ts';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { inspectApart } from './inspect-apart.ts';
import { INSPECT_MODEL, type InspectModel } from './inspect-model.ts';
import { ModelRegister } from './model-register.ts';
import { ModelReleaseStore } from './model-release.store.ts';
import { ModelStates } from './model-states.ts';
import { StudyContextStore } from './study-context.store.ts';

/** The models this process may run: those of the project, those added by `npm run model -- add`, and those of `PRELIM_MODELS`. */
@Module({
  providers: [
    {
      provide: ModelRegister,
      inject: [SETTINGS, { token: INSPECT_MODEL, optional: true }],
      useFactory: (settings: Settings, inspect: InspectModel = inspectApart) =>
        ModelRegister.read(
          {
            own: [join(folderWith('package.json') ?? '/', 'models'), join(settings.PRELIM_DATA, 'models')],
            required: settings.PRELIM_MODELS,
          },
          inspect,
        ),
    },
    ModelReleaseStore,
    ModelStates,
    StudyContextStore,
  ],
  exports: [ModelRegister, ModelStates, StudyContextStore],
})
export class GovernanceModule {}
