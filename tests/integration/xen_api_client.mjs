// Commands on standard input, a line of JSON each, carried out with the
// xen-api of Xen Orchestra; answers on standard output, a line each.
//
// node xen_api_client.mjs DIRECTORY-WITH-NODE_MODULES URL [PROXY]

import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [directory, url, httpProxy] = process.argv.slice(2)
const entry = join(directory, 'node_modules', 'xen-api', 'index.mjs')
const { createClient } = await import(pathToFileURL(entry))

// It warns of connections that break; standard output is for answers.
console.warn = () => {}

const xapi = createClient({
  url,
  httpProxy,
  auth: { user: 'root', password: 'secret' },
  watchEvents: false,
  eventPollDelay: 100,
  debounce: 10,
  roCallRetryOptions: { delay: 100, tries: 100 },
})

const objects = type =>
  Object.values(xapi.objects.all).filter(object => object.$type === type)

// The records of a type once one has a field of a value, as cached.
const until = (type, field, value) =>
  new Promise(resolve => {
    const look = () => {
      const found = objects(type).find(object => object[field] === value)
      if (found !== undefined) {
        xapi.objects.removeListener('finish', look)
        resolve(found.uuid)
      }
    }
    xapi.objects.on('finish', look)
    look()
  })

const commands = {
  connect: async () => {
    await xapi.connect()
    return xapi.pool.uuid
  },
  call: (method, ...params) => xapi.call(method, ...params),
  callAsync: (method, ...params) => xapi.callAsync(method, ...params),
  watch: async () => {
    xapi.watchEvents()
    await xapi.objectsFetched
    return objects('host').map(host => host.name_label)
  },
  barrier: async () => {
    await xapi.barrier()
    return xapi.pool.uuid
  },
  until,
  disconnect: () => xapi.disconnect(),
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...params] = JSON.parse(line)
  let answer
  try {
    answer = { value: (await commands[name](...params)) ?? null }
  } catch (error) {
    const { code = error.name, message, params } = error
    answer = { code, params: params ?? [message] }
  }
  console.log(JSON.stringify(answer))
}
process.exit(0)
