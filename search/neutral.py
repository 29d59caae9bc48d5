"""Neutral questions: everyday things of every kind, to learn what "the best of this library" is for a question that
was not made for it. Some have an answer in any library; what is fitted to their scores leaves the upper ones out.
"""

NEUTRAL = tuple(
    line.strip()
    for line in """
a dog; a cat asleep on a sofa; a horse galloping; a cow in a field; sheep on a hill; a pig in the mud; a chicken
a duck on a pond; an elephant; a lion; a tiger; a giraffe; a zebra; a monkey; a bear; a wolf; a fox; a deer
a rabbit; a mouse; a bat; a whale; a dolphin; a shark; a fish in an aquarium; a turtle; a snake; a lizard; a frog
a spider; a bee on a flower; an ant; a butterfly; an owl; an eagle; a parrot; a penguin; a swan
a camel in the desert; a kangaroo; a crab on the beach; a snail; a jellyfish; an octopus; a tree; a forest; a flower
grass; a mountain; a river; a lake; the sea; a beach; an island; a desert; a waterfall; a volcano; a cave; snow
rain; a storm; lightning; a rainbow; clouds; the sun; the moon; stars in the night sky; fog; a field of wheat; ice
a city; a village; a street; a bridge; a tower; a castle; a church; a temple; a mosque; a skyscraper; a house
a barn; a lighthouse; a factory; an airport; a train station; a harbour; a stadium; a museum; a library
a school classroom; a hospital; a supermarket; a kitchen; a bathroom; a bedroom; a living room; an office; a garage
a garden; a swimming pool; a staircase; a corridor; a car; a bus; a lorry; a bicycle; a motorcycle; a train; a tram
an aeroplane; a helicopter; a ship; a sailing boat; a submarine; a tractor; an ambulance; a fire engine
a police car; a rocket; a hot-air balloon; a skateboard; a wheelchair; a traffic light; a man; a woman; a child
a baby; an old man; an old woman; a crowd; a family; a bride and a groom; a soldier; a policeman; a doctor; a nurse
a teacher; a chef cooking; a farmer; a fisherman; a painter; a dancer; a singer on a stage; a footballer; a swimmer
a runner; a climber; a skier; a surfer; a cyclist; people shaking hands; people eating at a table; people dancing
people laughing; a person crying; a man giving a speech; someone reading a book; someone writing a letter
someone playing the violin; someone riding a horse; someone using a computer; someone talking on the telephone
someone washing the dishes; someone painting a wall; two people fighting; a handshake; a kiss; a close-up of a hand
a close-up of eyes; a smiling face; a beard; a tattoo; a mask; a hat; glasses; a red dress; shoes; a suit and a tie
an umbrella; a suitcase; a ring; a watch; a crown; a flag; a sword; a gun; a knife; a hammer; a key; a lock; a chair
a table; a sofa; a bed; a lamp; a mirror; a clock; a carpet; a curtain; a bookcase; a bottle; a glass of wine
a cup of coffee; a plate; a bowl of soup; bread; cheese; an egg; meat; a pizza; a hamburger; sushi; noodles; rice
a cake; ice cream; chocolate; an apple; a banana; an orange; grapes; a strawberry; a tomato; a carrot; a potato
a mushroom; a birthday cake; a candle; a fire; fireworks; smoke; a computer; a keyboard; a telephone; a television
a camera; a microphone; a loudspeaker; a guitar; a piano; a drum; a trumpet; a robot; a map; a newspaper; a painting
a statue; a chart; a table of numbers; a page of text; a logo; a title card; the credits of a film; black and white
a blurred picture; a drawing; a cartoon; a diagram; a microscope picture; a satellite picture; an X-ray; a galaxy
a football match; a tennis match; a basketball game; a boxing match; a chess board; a card game
a swing in a playground; a roller coaster; a wedding; a funeral; a birthday party; a concert; a market; a parade
a demonstration; an accident; a fire in a building; a flood; a surgeon at work; a scientist in a laboratory
a meeting in an office; a courtroom; a prison cell; a construction site; a crane; 一只狗; 一只猫; 一匹马; 一头牛
一只鸟; 鱼; 蛇; 大象; 狮子; 猴子; 蜜蜂; 一棵树; 森林; 花; 草地; 山; 河流; 大海; 沙滩; 沙漠; 雪; 下雨; 闪电; 彩虹
月亮; 星空; 城市; 村庄; 街道; 桥; 塔; 寺庙; 房子; 工厂; 机场; 学校; 医院; 超市; 厨房; 卧室; 办公室; 汽车; 公共汽车
自行车; 火车; 飞机; 船; 火箭; 男人; 女人; 孩子; 婴儿; 老人; 人群; 士兵; 医生; 老师; 厨师; 舞者; 歌手; 跑步的人; 滑雪
游泳; 吃饭; 握手; 跳舞; 看书; 打电话; 开会; 婚礼; 音乐会; 帽子; 眼镜; 裙子; 鞋子; 雨伞; 手表; 刀; 钥匙; 椅子; 桌子
沙发; 床; 灯; 钟; 瓶子; 一杯咖啡; 面包; 鸡蛋; 披萨; 面条; 蛋糕; 冰淇淋; 苹果; 香蕉; 电脑; 手机; 电视; 相机; 吉他
钢琴; 机器人; 地图; 报纸; 一幅画; 雕像; 表格; 足球比赛; 下棋; 烟花; 火灾; 洪水; 工地
""".replace(";", "\n").splitlines()
    if line.strip()
)
