// Folders of the packages that the compiled command and vitest need, one a line. What only builds is left out.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const found = new Set()

function locate(name, from) {
  for (let at = from; ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name)
    if (existsSync(join(folder, 'package.json'))) return folder
    if (at === '.') return undefined
  }
}

function visit(name, from) {
  const folder = locate(name, from)
  if (folder === undefined || found.has(folder)) return
  found.add(folder)
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(folder, 'package.json'), 'utf8'),
  )
  for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) visit(each, folder)
}

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
for (const name of Object.keys(dependencies))
  if (!['cmake-js', 'node-addon-api'].includes(name)) visit(name, '.')
visit('vitest', '.')
console.log([...found].sort().join('\n'))
