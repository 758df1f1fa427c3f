"""The long form of the property tests (`make fuzz`): ever new examples, each bounded in CPU time."""
