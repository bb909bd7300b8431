/** What `npm pack` and `npm publish` put into the package besides the sources: dist and, on linux-x64, prebuilds. */
import { stderr } from 'node:process'
import { prebuiltPath } from './prebuilt.mjs'
import { packages, prebuiltEngine, runSteps, typeScript } from './steps.mjs'

const engine = prebuiltPath() === undefined ? [] : [prebuiltEngine]
if (engine.length === 0)
  stderr.write('headzip: prebuilt engines are made on linux-x64; this package has none\n')
await runSteps([packages, typeScript, ...engine])
