const ws = new WebSocket('wss://api.clawdnet.xyz/telemetry');

ws.onopen = () => {
  ws.send(JSON.stringify({ type: 'auth', token: 'your-api-key' }));
};

ws.onmessage = (event) => {
  const msg = JSON.parse(event.data);
  
  switch (msg.type) {
    case 'auth_success':
      console.log('Connected, agents:', msg.agents);
      break;
    case 'metrics':
      updateDashboard(msg.agent_id, msg.data);
      break;
    case 'status':
      updateStatus(msg.agent_id, msg.status);
      break;
    case 'error':
      showAlert(msg.agent_id, msg.data);
      break;
  }
};

// Keep alive every 30s
setInterval(() => {
  ws.send(JSON.stringify({ type: 'ping' }));
}, 30000);
