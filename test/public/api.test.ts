import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'
import { expect, it } from 'vitest'
import { packageRoot } from '../cli/headzip.js'
import { scratchFolder } from '../scratch.js'

/** Every name that `headzip` exports with its signature, and the types that these mention, from what npm would publish. */
function publicApi(): string {
  const folder = scratchFolder()
  const none = { logLevel: ExtractorLogLevel.None }
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: packageRoot,
      mainEntryPointFilePath: join(packageRoot, 'dist/index.d.ts'),
      compiler: { tsconfigFilePath: join(packageRoot, 'tsconfig.build.json') },
      newlineKind: 'lf',
      apiReport: {
        enabled: true,
        reportFileName: 'headzip',
        // Without what is marked @internal.
        reportVariants: ['public'],
        includeForgottenExports: true,
        reportFolder: folder,
        reportTempFolder: join(folder, 'temporary'),
      },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: { default: none },
        tsdocMessageReporting: { default: none },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(packageRoot, 'package.json'),
  })
  const said: string[] = []
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      if (message.logLevel === ExtractorLogLevel.Error) said.push(message.text)
      message.handled = true
    },
  })
  expect(said).toEqual([])
  expect(succeeded).toBe(true)
  const declarations = readFileSync(join(folder, 'headzip.public.api.md'), 'utf8')
    // A docstring that comes or goes is no change.
    .replace(/^ *\/\/ \(undocumented\)\n/gm, '')
    .replaceAll('@public (undocumented)', '@public')
    .split('\n\n')
  // What TypeScript and the engine tell one another, found by way of what is marked @internal.
  return declarations.filter((text) => !/^(interface|type) Native/m.test(text)).join('\n\n')
}

it('exports what it did when its users were last told', async () => {
  await expect(
    publicApi(),
    'the public API changed: say so in CHANGELOG.md, then store it with `npm test -- test/public/api.test.ts -u`',
  ).toMatchFileSnapshot('headzip.api.md')
})
