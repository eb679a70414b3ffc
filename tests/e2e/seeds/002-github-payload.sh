curl -X POST http://localhost:8000/api/v1/webhooks/github \
  -H "Content-Type: application/json" \
  -H "X-GitHub-Event: pull_request" \
  -d '{
  "action": "closed",
  "pull_request": {
    "id": 123,
    "number": 42,
    "title": "Fix memory leak",
    "merged": true,
    "base": {
      "repo": {
        "full_name": "org/repo"
      }
    }
  }
}'
