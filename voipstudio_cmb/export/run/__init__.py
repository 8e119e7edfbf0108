"""Runs exports.

Exports              many accounts, in turns
  `- Export          one account: a job for each file
       `- JobRunner  fetches from a Source into a Workspace
            `- FileWriter  makes the file from the workspace, publishes and records it
Job, Summary         what can be seen of them
forecast             what they would fetch
checked_owner        whose the rows are, for both
Stream               rows to a pipe instead: no workspace, no file
"""
