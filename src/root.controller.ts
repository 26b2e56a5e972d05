import { Controller, Get, Redirect } from '@nestjs/common';

/** Who types only the address wants to see results. */
@Controller()
export class RootController {
  @Get()
  @Redirect('/worklist/', 302)
  root(): void {}
}
